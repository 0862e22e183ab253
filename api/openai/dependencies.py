"""Dependencies."""

from typing import Annotated

from api.dependencies import _part
from api.openai.audio import OpenAIAudio

OpenAIAudioDep = Annotated[OpenAIAudio, _part("openai_audio")]
