"""All settings of an installation, from `YTCAPTION_*` variables or a file (`settings_file`).

Nothing else reads the environment. An empty variable is an unset one. A variable is named after its
field, whatever the field's group: `YTCAPTION_BEAM_SIZE` sets `settings.speech.beam_size`.
"""

import logging
import os
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.errors import SetupError
from ytcaption.domain.media.pacing import Pacing, PerSite, QuietHours, not_negative
from ytcaption.settings.analytics import AnalyticsSettings
from ytcaption.settings.api import ApiSettings
from ytcaption.settings.captions import CaptionSettings
from ytcaption.settings.channels import ChannelSettings
from ytcaption.settings.download import DownloadSettings
from ytcaption.settings.group import SettingsGroup
from ytcaption.settings.operation import OperationSettings
from ytcaption.settings.retention import RetentionSettings
from ytcaption.settings.runs import RunSettings
from ytcaption.settings.search import SearchSettings
from ytcaption.settings.settings_file import default_home, file_variables, settings_file
from ytcaption.settings.speech import SpeechSettings
from ytcaption.settings.storage import StorageSettings
from ytcaption.settings.throttle import ThrottleSettings
from ytcaption.settings.worker import WorkerSettings

logger = logging.getLogger(__name__)

PREFIX = "YTCAPTION_"
OLD_NAMES = {
    "listing_turn_s": "listing_slice_s",
    "pace_time_zone": "throttle_time_zone",
    "worker_silence_s": "worker_timeout_s",
}
"""Names of version 0.1, accepted until version 0.3, with today's."""

_file: ContextVar[Mapping[str, str | None]] = ContextVar("variables of the file")


class Settings(BaseSettings):
    """One installation."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore")

    home: Path = Field(
        default_factory=default_home,
        description="The folder of everything that ytcaption keeps on this machine.",
    )
    storage: StorageSettings = Field(default_factory=StorageSettings.default)
    download: DownloadSettings = Field(default_factory=DownloadSettings.default)
    throttle: ThrottleSettings = Field(default_factory=ThrottleSettings.default)
    speech: SpeechSettings = Field(default_factory=SpeechSettings.default)
    worker: WorkerSettings = Field(default_factory=WorkerSettings.default)
    search: SearchSettings = Field(default_factory=SearchSettings.default)
    captions: CaptionSettings = Field(default_factory=CaptionSettings.default)
    runs: RunSettings = Field(default_factory=RunSettings.default)
    channels: ChannelSettings = Field(default_factory=ChannelSettings.default)
    api: ApiSettings = Field(default_factory=ApiSettings.default)
    retention: RetentionSettings = Field(default_factory=RetentionSettings.default)
    analytics: AnalyticsSettings = Field(default_factory=AnalyticsSettings.default)
    operation: OperationSettings = Field(default_factory=OperationSettings.default)
    api_key: SecretStr | None = Field(
        None, description="The API key that `ytcaption transcribe --server` sends."
    )

    def __init__(self, *, _env_file: Path | None = None, **values: Any) -> None:
        """Read the environment and `_env_file`; `values`, by field name, come before both.

        Raises:
            ValidationError: a value is wrong.
            SetupError: the file cannot be read.
        """
        # pydantic-settings would read a file of any kind and size.
        token = _file.set({} if _env_file is None else file_variables(_env_file))
        try:
            super().__init__(_env_file=None, **_by_group(values))
        finally:
            _file.reset(token)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return arguments, environment and file, in this order of precedence."""
        assert isinstance(env_settings, EnvSettingsSource)
        return (
            init_settings,
            _FlatSource(settings_cls, env_settings.env_vars),
            _FlatSource(settings_cls, _file.get()),
        )

    @field_validator("home")
    @classmethod
    def _make_absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @classmethod
    def fields(cls) -> Iterator[tuple[str, FieldInfo]]:
        """Yield the name and definition of each setting, those of a group together."""
        for name, field in cls.model_fields.items():
            group = field.annotation
            if isinstance(group, type) and issubclass(group, SettingsGroup):
                yield from group.model_fields.items()
            else:
                yield name, field

    def value_of(self, name: str) -> Any:
        """Return a setting by its field name."""
        group = _GROUPS.get(name)
        return getattr(getattr(self, group) if group else self, name)

    def set_names(self) -> set[str]:
        """Return the names of the settings that do not have their default from the code."""
        groups = set(_GROUPS.values())
        names = self.model_fields_set - groups
        return names.union(*(getattr(self, group).model_fields_set for group in groups))

    def changed(self, **values: Any) -> "Settings":
        """Return a copy with other values, by field name; they are not validated."""
        update: dict[str, Any] = {}
        for name, value in _by_group(values).items():
            if name not in type(self).model_fields:
                raise TypeError(f"{name} is no setting")
            is_group = isinstance(getattr(self, name), SettingsGroup)
            update[name] = getattr(self, name).model_copy(update=value) if is_group else value
        return self.model_copy(update=update)

    def caption_style(self, language: str | None) -> CaptionStyle:
        """Return the layout of captions in this language."""
        return CaptionStyle.for_language(
            language,
            line_length=self.captions.caption_line_length,
            cjk_line_length=self.captions.caption_cjk_line_length,
            max_lines=self.captions.caption_lines,
        )

    @property
    def pacing(self) -> Pacing:
        """How gently bulk work treats each site."""
        throttle = self.throttle
        return Pacing(
            pause_s=PerSite.parse(throttle.bulk_pause_s, not_negative, 0.0),
            jitter=throttle.bulk_pause_jitter,
            quiet_hours=PerSite.parse(throttle.quiet_hours, QuietHours.parse, None),
            bytes_per_day=PerSite.parse(throttle.bulk_bytes_per_day, not_negative, 0.0),
            lists_per_minute=PerSite.parse(throttle.lists_per_minute, not_negative, 0.0),
            zone=ZoneInfo(throttle.throttle_time_zone),
            proxies=tuple(each.name for each in self.download.upstreams),
        )

    @property
    def transcriptions_at_once(self) -> int:
        """Transcriptions at the same time. Several keep a worker busy while others are decoded."""
        has_worker = self.worker.worker == "on" or self.worker.workers
        return self.runs.transcription_slots or (4 if has_worker else 1)

    @property
    def concurrent_runs(self) -> int:
        """Runs at the same time: one per slot, so that stalled downloads block no transcription."""
        return self.transcriptions_at_once + self.runs.download_slots

    @property
    def store_url(self) -> str:
        """The object store's URL, with the default filled in."""
        return self.storage.object_store_url or (self.home / "objects").as_uri()

    @property
    def models_home(self) -> Path:
        """The folder of the weights."""
        return self.speech.model_directory or self.home / "models"


_GROUPS = {
    name: group
    for group, field in Settings.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, SettingsGroup)
    for name in field.annotation.model_fields
}
"""The group of each setting that has one."""


class _FlatSource(PydanticBaseSettingsSource):
    """Variables without a group in their names, sorted into the groups."""

    def __init__(self, settings_cls: type[BaseSettings], variables: Mapping[str, Any]) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return nothing: `__call__` reads all fields at once."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return the values by group and field."""
        prefix = PREFIX.lower()
        values = {
            key.removeprefix(prefix): value
            for key, value in self._variables.items()
            if key.startswith(prefix) and value is not None and value.strip()
        }
        for old, new in OLD_NAMES.items():
            if old in values:
                logger.warning(
                    "%s%s is now called %s%s; the old name works until version 0.3.",
                    *(PREFIX, old.upper(), PREFIX, new.upper()),
                )
        known = {name for name, _ in Settings.fields()} | set(OLD_NAMES)
        return _by_group({name: value for name, value in values.items() if name in known})


def _by_group(values: Mapping[str, Any]) -> dict[str, Any]:
    sorted_values: dict[str, Any] = {}
    for given, value in values.items():
        name = OLD_NAMES.get(given, given)
        if name != given and name in values:
            continue
        group = _GROUPS.get(name)
        if group is None:
            sorted_values[name] = value
        else:
            sorted_values.setdefault(group, {})[name] = value
    return sorted_values


def load_settings() -> Settings:
    """Return the settings of the environment; the same object until something has changed.

    Raises:
        SetupError: naming each variable that is wrong and what is wrong with it; or the file of
            settings cannot be read.
    """
    file = settings_file()
    state = None if file is None else _file_state(file)
    return _settings(file, state, tuple(os.environ.items()), _folder())


@lru_cache(maxsize=1)
def _settings(file: Path | None, *_read: object) -> Settings:
    # Reading them takes milliseconds, and runs and sensor ticks ask for them again and again.
    try:
        return Settings(_env_file=file)
    except ValidationError as error:
        wrong = "; ".join(
            f"{PREFIX}{_field_of(item['loc']).upper()}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise SetupError(f"Settings that cannot be used: {wrong}") from None


def _field_of(location: tuple[int | str, ...]) -> str:
    """Return the field's name in a location such as `("speech", "beam_size")`."""
    return str(next((part for part in location if part in _GROUPS), location[0]))


def _folder() -> Path | None:
    """Return the folder that relative paths begin at; None where it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _file_state(path: Path) -> tuple[int, int, int] | None:
    """Return what changes with the file's content; None where there is no file."""
    try:
        state = path.stat()
    except OSError:
        return None
    return state.st_mtime_ns, state.st_size, state.st_ino
