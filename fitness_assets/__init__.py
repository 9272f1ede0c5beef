"""fitness_assets: a Dagster asset graph that turns daily fitness logs into tables that you can trust.

The layers, in the order in which a row passes through them:

* ``bronze``: uploads as they came, typed; malformed rows in quarantine.
* ``silver``: cleaned days, one row per user and day, with features over calendar days.
* ``gold``: a star schema for queries.
* ``predictions``: models, how they were tested, and what they predict.
* ``quality``: what the data is worth, measured, with a report.

Each layer has the same modules: ``tables.py`` (what the data is), ``transforms.py`` (how it is made) and ``assets.py``
(the layer step that makes it). The other packages are ``schema`` (how tables are described), ``lake`` (versions of
tables), ``engine`` (where Spark code runs, and how rules are checked), ``aws`` and ``orchestration`` (everything that
uses Dagster). ``definitions`` puts it together. ``docs/architecture.md`` has the details.
"""
