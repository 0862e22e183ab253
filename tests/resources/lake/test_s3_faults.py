"""The lake while S3 refuses or cuts its answers off."""

import pytest

from resources.lake.catalog import TranscriptCatalog
from tests.support.lake_documents import make_document
from tests.support.lake_rows import transcript_ids
from tests.support.servers.s3_server import S3Fault, S3Server
from ytcaption.domain.errors import LakeUnavailable


@pytest.mark.long
@pytest.mark.parametrize(
    "fault", [S3Fault.REFUSES, pytest.param(S3Fault.CUTS, marks=pytest.mark.slow)]
)
def test_each_use_says_so_and_nothing_is_called_damaged(
    fault: S3Fault, s3: S3Server, s3_catalog: TranscriptCatalog
):
    """A query, a write and a comparison fail with an error that can be repeated, and are right
    afterwards."""
    document = make_document(words=30)
    s3_catalog.append(*document)

    def verify() -> None:
        report = s3_catalog.verify(lambda: {document[0].id}, lambda _: document, repair=True)
        assert report.damaged_files == report.different == report.orphaned == ()

    for use in (
        lambda: s3_catalog.query("select text from words"),
        lambda: s3_catalog.append(*make_document(words=10, text="new")),
        verify,
    ):
        with s3.failing(fault), pytest.raises(LakeUnavailable) as caught:
            use()
        assert caught.value.retryable
        assert "verify --repair" not in caught.value.message or "reached" in caught.value.message
    assert len(s3_catalog.query("select text from words").rows) == 30
    verify()
    assert transcript_ids(s3_catalog) == {document[0].id}
