"""Versions: all transcriptions of one media item, and transcribing many again.

Routes and schemas only. Versions are read with `resources.transcriptions`; retranscription is done
by `resources.retranscribe`.
"""
