"""The check of the address that the API listens on."""

from resources.auth.api_keys import ApiKeys
from resources.auth.jwt_tokens import JwtTokens
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.domain.media.addresses import is_loopback
from ytcaption.settings.settings import Settings


def check_bind(settings: Settings) -> None:
    """Check that an API without authentication listens on loopback only.

    See docs/adr/security-rules.md#rule-21.

    Raises:
        SetupError: other machines could reach the API, and there are neither keys nor settings of
            JWT; or the settings of JWT contradict each other.
    """
    if JwtTokens.from_settings(settings) is not None or is_loopback(settings.api.api_host):
        return
    refusal = f"The API does not bind to {settings.api.api_host or 'all addresses'}: "
    loopback = "or set YTCAPTION_API_HOST to 127.0.0.1."
    try:
        if ApiKeys.from_settings(settings).any_exist():
            return
    except DatabaseUnavailable as error:
        raise SetupError(
            f"{refusal}the database, which holds the API keys, does not answer. Start it, "
            f"{loopback}"
        ) from error
    raise SetupError(
        f"{refusal}no API keys exist, so it would be open to the network. Create one with "
        f"`ytcaption keys create NAME`, {loopback}"
    )
