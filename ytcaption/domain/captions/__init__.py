"""Captions in pure Python: from a transcript to cues and caption files, and from a site's caption
track to segments.

`cues` lays captions out (`breaks`, `lines`, `units`, `style`, `function_words` help), `formats` and
`text_formats` write files, `quality` checks captions against their style. `track_parsing`, `ttml`,
`ttml_times` and `track_segments` read tracks. Nothing here opens a file or knows where a track
comes from.
"""
