"""Dependencies."""

from typing import Annotated

from api.channels.service import CallersChannels
from api.dependencies import _part
from resources.channels.store import ChannelStore

ChannelsDep = Annotated[CallersChannels, _part("channels")]


ChannelStoreDep = Annotated[ChannelStore, _part("channel_store")]
