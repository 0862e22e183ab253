"""OpenAI's audio API: its clients transcribe and translate files here unchanged.

`audio.OpenAIAudio` uploads the file like `api.uploads`, waits for the text and answers it in
OpenAI's form (`schemas`, `view`), or streams it. No other feature uses this room.
"""
