"""fitness_assets: daily fitness logs into tables that one can trust.

The rooms, in the order in which a row walks through them:

* ``bronze``: uploads as they came, typed, nothing lost.
* ``silver``: days cleaned by the analysts' rules and enriched over 30 calendar days.
* ``gold``: a star schema for queries.
* ``predictions``: models, what they are worth, and what they say.
* ``quality``: what all of it is worth, measured, with a report.

Each room is furnished alike: ``tables.py`` (what the data is), ``transforms.py`` (how it is made: pure functions on
Spark frames; of ``quality``, questions to DuckDB), ``assets.py`` (when and where). The plumbing is beside them:
``settings``, ``dictionary`` (with ``rules``), ``catalogue``, ``lake`` (with ``staging``, ``versions``, and ``stores``
and ``s3_store`` under it), ``steps`` (with ``audits``, ``reader`` and ``layers``), ``io_managers``, ``checks``, ``job``
and ``jobs``, ``resources``, ``history``, ``aws``, ``glue``, ``sensors`` (with ``arrivals``, ``messages`` and
``metrics``), and ``definitions``, where everything is put together.
"""
