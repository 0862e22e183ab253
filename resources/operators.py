"""Operators of this installation, told by e-mail or chat through Apprise (rule 26)."""

import logging

from ytcaption_assets.domain.errors import SetupError
from ytcaption_assets.settings import Settings


class Operators:
    """Those that `YTCAPTION_NOTIFY_URLS` names.

    Raises:
        SetupError: it holds something that Apprise does not know.
    """

    def __init__(self, settings: Settings) -> None:
        urls = settings.notify_urls
        self._apprise = None
        if urls is not None and urls.get_secret_value().strip():
            import apprise

            for name in ("apprise", "urllib3"):  # they would write down where messages went
                logging.getLogger(name).setLevel(logging.CRITICAL + 1)
            self._apprise = apprise.Apprise()
            if not self._apprise.add(urls.get_secret_value()):
                raise SetupError("YTCAPTION_NOTIFY_URLS holds a URL that Apprise does not know.")

    def tell(self, title: str, text: str) -> bool:
        """Whether all have been told; also where there is nobody to be told."""
        return self._apprise is None or bool(self._apprise.notify(body=text, title=title))
