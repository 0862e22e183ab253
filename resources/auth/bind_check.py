"""May the API listen where it is told to?"""

from resources.auth.api_keys import ApiKeys
from resources.auth.jwt_tokens import JwtTokens
from ytcaption.domain.errors import DatabaseUnavailable, SetupError
from ytcaption.domain.media.addresses import is_loopback
from ytcaption.settings import Settings


def check_bind(settings: Settings) -> None:
    """Rule 21: where nobody has to say who they are, only this machine may ask.

    Raises:
        SetupError: others could reach the API and no keys exist and no JWT is set up; or the
            settings of JWT do not fit together.
    """
    if JwtTokens.from_settings(settings) is not None or is_loopback(settings.api_host):
        return
    refusal = f"The API does not bind to {settings.api_host or 'all addresses'}: "
    loopback = "or set YTCAPTION_API_HOST to 127.0.0.1."
    try:
        if ApiKeys.from_settings(settings).exist():
            return
    except DatabaseUnavailable as error:
        raise SetupError(
            f"{refusal}the database, which knows the API keys, does not answer. Start it, "
            f"{loopback}"
        ) from error
    raise SetupError(
        f"{refusal}no API keys exist, so it would be open to the network. Make one with "
        f"`ytcaption keys create NAME`, {loopback}"
    )
