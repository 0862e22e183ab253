-- How common a word is decides how a search goes about it (resources/search_commonness.py): by default only the thousand
-- most common ones are known, and all others count as nearly as common as those.
alter table ytcaption.segment alter column tsv set statistics 1000;
analyze ytcaption.segment;
