"""The objects that live as long as the app and that routes use."""

from typing import NamedTuple

from api.analytics.service import Analytics
from api.auth.authentication import Authenticator
from api.channels.service import ChannelService
from api.long_work import LongWork
from api.monitoring.readiness import Readiness
from api.openai.audio import OpenAIAudio
from api.transcriptions.actions import CallerActions
from api.transcriptions.pauses import PauseControl
from api.transcriptions.submission import Submitter
from api.transcriptions.watch import Watcher
from api.uploads.intake import UploadIntake
from resources.auth.api_keys import ApiKeys
from resources.channels.store import ChannelStore
from resources.object_store.store import ObjectStore
from resources.postgres.connection import Postgres
from resources.search.service import Search
from resources.webhooks.deliveries import Deliveries
from resources.webhooks.store import Webhooks
from ytcaption.settings.settings import Settings


class Parts(NamedTuple):
    """Everything a route may depend on; built when the app starts."""

    settings: Settings
    postgres: Postgres
    object_store: ObjectStore
    readiness: Readiness
    long_work: LongWork
    api_keys: ApiKeys
    webhooks: Webhooks
    deliveries: Deliveries
    authenticator: Authenticator
    watcher: Watcher
    submitter: Submitter
    uploads: UploadIntake
    openai_audio: OpenAIAudio
    pause_control: PauseControl
    actions: CallerActions
    analytics: Analytics
    channels: ChannelService
    channel_store: ChannelStore
    search: Search
