"""All checks, by how often they run."""

from resources.maintenance.channel_checks import CHANNEL_CHECKS
from resources.maintenance.clock_checks import CLOCK_CHECKS
from resources.maintenance.document_checks import DAMAGE_CHECKS, DOCUMENT_CHECK
from resources.maintenance.file_checks import FILE_CHECKS
from resources.maintenance.row_checks import ERASURE_CHECK, ROW_CHECKS
from resources.maintenance.run_checks import PARTITION_CHECKS, RUN_CHECKS
from resources.maintenance.search_checks import SEARCH_CHECKS, SEGMENT_CHECK
from resources.maintenance.tick_checks import TICK_CHECKS

EACH_MINUTE = (*CLOCK_CHECKS, *RUN_CHECKS, *ROW_CHECKS, *CHANNEL_CHECKS)
"""They take milliseconds, and what they repair may be waited for."""

EACH_DAY = (*PARTITION_CHECKS, ERASURE_CHECK, *FILE_CHECKS, DOCUMENT_CHECK, SEGMENT_CHECK)
"""They list all partitions and files."""

ALL_CHECKS = (*TICK_CHECKS, *EACH_MINUTE, *EACH_DAY, *DAMAGE_CHECKS, *SEARCH_CHECKS)
"""The last two read every document, and every file of the lake."""
