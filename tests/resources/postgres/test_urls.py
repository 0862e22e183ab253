"""Where each part finds its database."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from resources.postgres.urls import database_name, database_urls, socket_folder, with_database
from ytcaption.domain.errors import SetupError
from ytcaption.settings.settings import Settings

PASSWORD = "p@ss/w:rd #1%&?=+ü"
QUOTED = "p%40ss%2Fw%3Ard%20%231%25%26%3F%3D%2B%C3%BC"


def settings(**overrides: object) -> Settings:
    """Of no `.env` and no home."""
    values = {"home": Path("/home/ada/captions")} | overrides
    return Settings(_env_file=None, **values)  # pyright: ignore


def test_the_embedded_server_knows_each_part_by_name():
    """Each part has a user of its own, on the same socket below the home."""
    urls = database_urls(settings())
    socket = "/home/ada/captions/postgres/run"
    for url, user in (
        (urls.admin, "postgres"),
        (urls.api, "ytcaption_api"),
        (urls.dagster, "ytcaption_dagster"),
        (urls.lake, "ytcaption_lake"),
    ):
        assert conninfo_to_dict(url) == {
            "user": user,
            "host": socket,
            "port": "5432",
            "dbname": "ytcaption",
        }
    assert urls.dagster_storage == (
        f"postgresql+psycopg2://ytcaption_dagster@/dagster?host={socket}&port=5432"
    )


def test_a_home_with_odd_characters():
    """A space, a percent sign and an umlaut in the home reach libpq as they are."""
    odd = settings(home=Path("/home/ada/My %41 Töne & more"))
    assert conninfo_to_dict(database_urls(odd).api)["host"] == str(socket_folder(odd))


def test_a_long_home_has_its_socket_elsewhere():
    """A path too long for a socket, or with libpq's separator, is replaced by a short one, one a
    home, the same each time."""
    long, other = (settings(home=Path("/home") / name) for name in ("a" * 200, "a,b"))
    folder = socket_folder(long)
    assert len(str(folder)) < 100
    assert folder == socket_folder(long) != socket_folder(other)
    assert all(str(socket_folder(of)).startswith("/tmp/ytcaption-") for of in (long, other))


def test_a_server_has_one_user_for_all():
    """The URL that is set serves every part; Dagster has its own database there."""
    url = f"postgresql://ada:{QUOTED}@db.example.org:6543/captions?sslmode=require"
    urls = database_urls(settings(database_url=url))
    for part in (urls.admin, urls.api, urls.dagster, urls.lake):
        assert conninfo_to_dict(part) == {
            "user": "ada",
            "password": PASSWORD,
            "host": "db.example.org",
            "port": "6543",
            "dbname": "captions",
            "sslmode": "require",
        }
    assert urls.dagster_storage == (
        f"postgresql+psycopg2://ada:{QUOTED}@db.example.org:6543/dagster?sslmode=require"
    )


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ada:{QUOTED}@db.example.org:6543/captions",
        f"postgres://ada:{QUOTED}@db.example.org:6543/captions",
        f"postgresql+psycopg2://ada:{QUOTED}@db.example.org:6543/captions",
        f"host=db.example.org port=6543 user=ada dbname=captions password='{PASSWORD}'",
        f"postgresql://ada:{QUOTED}@[2001:db8::1]:6543/captions",
        f"postgresql://ada:{QUOTED}@/captions?host=/run/postgresql",
        f"postgresql://ada:{QUOTED}@a.example.org:1,b.example.org:2/captions",
    ],
)
def test_sqlalchemy_and_libpq_read_the_same(url: str):
    """Whatever way it is written, user, password, host and port reach both drivers unchanged."""
    from sqlalchemy.engine import make_url

    urls = database_urls(settings(database_url=url))
    wanted = {**conninfo_to_dict(urls.admin), "dbname": "dagster"}
    assert wanted["password"] == PASSWORD
    parsed = make_url(urls.dagster_storage)
    arguments = parsed.get_dialect()().create_connect_args(parsed)[1]
    assert parsed.drivername == "postgresql+psycopg2"
    assert {name: str(value) for name, value in arguments.items()} == wanted


def test_parts_can_be_elsewhere():
    """Dagster's database and the lake's catalog have settings of their own."""
    urls = database_urls(
        settings(
            database_url="postgresql://ada@main/captions",
            dagster_database_url="postgresql://orchestrator@other/runs",
            lake_database_url="postgresql://lake@third/catalog",
        )
    )
    assert urls.dagster == urls.api == urls.admin == "postgresql://ada@main/captions"
    assert urls.dagster_storage == "postgresql+psycopg2://orchestrator@other/runs"
    assert urls.lake == "postgresql://lake@third/catalog"


def test_a_url_that_cannot_be_read_is_not_repeated():
    """The message names the variable, and holds no password."""
    for name in ("database_url", "dagster_database_url", "lake_database_url"):
        with pytest.raises(SetupError) as caught:
            database_urls(settings(**{name: "mysql://ada:hunter2@db/captions"}))
        assert f"YTCAPTION_{name.upper()}" in str(caught.value)
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_the_database_of_a_url():
    """It can be read and exchanged; without one it is ours."""
    url = database_urls(settings(database_url="postgresql://ada:x@db")).admin
    assert database_name(url) == "ytcaption"
    assert with_database(url, "a/b") == "postgresql://ada:x@db/a%2Fb"
    assert database_name(with_database(url, "a/b")) == "a/b"
