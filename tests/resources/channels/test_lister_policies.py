"""Egress of lists and feeds: the operator's proxies and cookies, over TLS."""

import json
from contextlib import closing
from pathlib import Path

import pytest

from resources.channels.dry_run import dry_run
from resources.channels.lister_policies import OutgoingLister
from resources.channels.listing.lister import ChannelLister
from resources.network.proxy_health import proxy_health, record_failed
from resources.postgres.connection import Postgres
from tests.resources.channels.listings import ids, lister
from tests.resources.download.test_egress import COOKIES, PUBLIC, routes, site
from tests.support.channel_feeds import Episode, rss
from tests.support.channel_lists import plan
from tests.support.servers.media_server import MediaServer
from tests.support.servers.upstream_proxy import UpstreamProxy
from ytcaption.domain.errors import BlockedAddress, ProxyUnavailable, SourceBlocked
from ytcaption.settings.settings import Settings

__all__ = ["site"]

CONFERENCE = "https://media.ccc.de/c/40c3"
FEED = "https://media.ccc.de/feeds/news.xml"


@pytest.fixture
def lists(site: MediaServer) -> MediaServer:
    """Return the site with a conference and a feed in two parts."""
    talks = [{"frontend_link": f"https://media.ccc.de/v/talk-{n}"} for n in range(3)]
    conference = json.dumps({"title": "The congress", "events": talks}).encode()
    site.serve("public/conferences/40c3", conference)
    episodes = [Episode(n, f"https://cdn.media.ccc.de/{n}.mp3") for n in range(4)]
    older = "https://media.ccc.de/feeds/older.xml"
    site.serve("feeds/news.xml", rss("News", episodes[:1:-1], older))
    site.serve("feeds/older.xml", rss("News", episodes[1::-1]))
    return site


def through(postgres: Postgres, *proxies: UpstreamProxy, **more: object) -> OutgoingLister:
    """Return a lister of an installation with these settings."""
    values = {"proxies": ",".join(each.url for each in proxies), "_env_file": None, **more}
    settings = Settings(**values)  # pyright: ignore[reportArgumentType]
    return OutgoingLister(public_lister(), settings, postgres)


def public_lister() -> ChannelLister:
    return lister(allowed_networks=[])


def bytes_of(postgres: Postgres) -> dict[str, int]:
    return {
        row["site"]: row["bytes"] for row in postgres.rows("select * from ytcaption.site_day", {})
    }


@pytest.mark.slow
def test_lists_and_feeds_go_through_the_proxy(lists: MediaServer, postgres: Postgres) -> None:
    """The proxy gets the address; bytes and health are recorded. A dead proxy is skipped, and tried
    once only for all parts of a feed."""
    with UpstreamProxy(routes(lists)) as dead, UpstreamProxy(routes(lists)) as good:
        dead.die()
        out = through(postgres, dead, good)
        source = public_lister().source_of(CONFERENCE)
        assert len(ids(out.newest(source, {}))) == 3
        listed = bytes_of(postgres)["media.ccc.de"]
        assert listed > 500 and set(good.targets) == {(PUBLIC, 443)}
        health = {each.name: each for each in proxy_health(postgres, [dead.name, good.name])}
        assert health[good.name].worked_at and health[dead.name].failures == 1
        feed = public_lister().source_of(FEED)
        with closing(out.pages(feed, 0, 3)) as pages:
            assert [len(page.items) for page in pages] == [3, 1]
        assert bytes_of(postgres)["media.ccc.de"] > listed + 1000


@pytest.mark.long
def test_cookies_and_user_agent_go_with_lists(
    lists: MediaServer, postgres: Postgres, tmp_path: Path
) -> None:
    """As with downloads. Feeds get no cookies."""
    (cookies := tmp_path / "cookies.txt").write_text(COOKIES)
    cookies.chmod(0o600)
    with UpstreamProxy(routes(lists)) as proxy:
        out = through(postgres, proxy, cookies_file=cookies, user_agent="Lister/1")
        out.newest(public_lister().source_of(CONFERENCE), {})
        [request] = lists.requests
        assert request.headers["Cookie"] == "session=mine-alone"
        assert request.headers["User-Agent"] == "Lister/1"
        lists.requests.clear()
        out.newest(public_lister().source_of(FEED), {})
        assert [each.headers.get("Cookie") for each in lists.requests] == [None]


def test_refused_and_unreachable_lists(lists: MediaServer, postgres: Postgres) -> None:
    """A refusal cools the proxy down if there is another; without a working proxy no request is
    made, and never without one; private addresses stay blocked."""
    with UpstreamProxy(routes(lists)) as one, UpstreamProxy(routes(lists)) as two:
        out = through(postgres, one, two)
        with pytest.raises(SourceBlocked):
            out.newest(public_lister().source_of("https://media.ccc.de/status/403/x.xml"), {})
        assert proxy_health(postgres, [one.name])[0].error == "media.ccc.de refuses it"
        inside = "https://media.ccc.de/redirect?to=https://inside.example/feed.xml"
        with pytest.raises(BlockedAddress):
            out.newest(public_lister().source_of(inside), {})
        two.die()
        seen = len(lists.requests)
        with pytest.raises(ProxyUnavailable):
            out.newest(public_lister().source_of(FEED), {})
        record_failed(postgres, one.name, "it does not answer")
        with pytest.raises(ProxyUnavailable) as error:
            out.newest(public_lister().source_of(CONFERENCE), {})
        assert error.value.retry_after_s and len(lists.requests) == seen


@pytest.mark.long
def test_dry_run_uses_the_same_egress(
    lists: MediaServer, postgres: Postgres, settings: Settings
) -> None:
    """With the rights of the API, which makes it."""
    api = Postgres.from_settings(settings, "api")
    with UpstreamProxy(routes(lists)) as proxy:
        proxied = Settings(_env_file=None, proxies=proxy.url)  # pyright: ignore[reportCallIssue]
        source = public_lister().source_of(FEED)
        preview = dry_run(api, proxied, public_lister(), source, plan())
        assert len(preview.included) == 4 and preview.is_complete
        assert set(proxy.targets) == {(PUBLIC, 443)}
        assert proxy_health(postgres, [proxy.name])[0].worked_at
