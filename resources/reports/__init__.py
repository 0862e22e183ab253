"""Reports: the library in numbers and pictures, one HTML file per day.

`report.make_report` reads the lake's views and events, `plots` draws, `page` writes the HTML;
`store_report` and `read_report` keep the files in the object store. This room knows nothing of HTTP
or Dagster.
"""
