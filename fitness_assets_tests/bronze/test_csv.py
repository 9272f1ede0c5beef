"""Uploads as files: which are found, how their text is cut into rows, and which are refused with which sentence."""

import codecs
import gzip
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from fitness_assets.bronze.readers import files
from fitness_assets.bronze.readers.csv import CUT_OFF, Dialect, require_name, tell_dialect
from fitness_assets.bronze.readers.csv import read_rows as read_tables
from fitness_assets.bronze.readers.files import LONGEST_ROW
from fitness_assets.bronze.readers.header import RefusedError
from fitness_assets.bronze.readers.numbers import NumberStyles
from fitness_assets.bronze.row_files import RowFiles
from fitness_assets_tests.conftest import GOOD_ROW, HEADER

NAMES = tuple(HEADER.split(","))
NOTED = f"{HEADER},note"
TWO_ROWS = f"{HEADER}\n{GOOD_ROW}\n{GOOD_ROW}\n"
MIB = 1 << 20


class Row(NamedTuple):
    row_number: int
    line_number: int
    text: str


def read_rows(path: Path) -> tuple[Dialect, list[Row]]:
    """The rows of a file."""
    dialect = tell_dialect(path)
    tables = read_tables(path, dialect, NumberStyles(dialect.header.delimiter))
    found = [row for table in tables for row in table.to_pylist()]
    return dialect, [
        Row(number, row["line_number"], row["text"].rstrip("\r\n")) for number, row in enumerate(found, start=1)
    ]


def read(path: Path, content: str | bytes) -> tuple[tuple[str, ...], list[Row]]:
    """Column names and rows of a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    dialect, rows = read_rows(path)
    return dialect.header.names, rows


def refusal(path: Path, content: str | bytes) -> str:
    with pytest.raises(RefusedError) as refused:
        read(path, content)
    return str(refused.value)


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    return tmp_path / "upload.csv"


class TestReading:
    @pytest.mark.parametrize("delimiter", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
    @pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
    @pytest.mark.parametrize(
        ("mark", "encoding"),
        [
            (b"", "utf-8"),
            (codecs.BOM_UTF8, "utf-8"),
            (codecs.BOM_UTF16_LE, "utf-16-le"),
            (codecs.BOM_UTF16_BE, "utf-16-be"),
            (b"", "utf-16-le"),
            (b"", "utf-16-be"),
            (b"", "cp1252"),
        ],
        ids=["utf8", "utf8_bom", "utf16le_bom", "utf16be_bom", "utf16le", "utf16be", "windows1252"],
    )
    def test_every_dialect_gives_the_same_names_and_rows(self, tmp_path, mark, encoding, packed, delimiter):
        row = GOOD_ROW.replace("17", "Zoë €", 1).replace(",", delimiter)
        content = mark + f"{HEADER.replace(',', delimiter)}\r\n{row}\r\n".encode(encoding)
        path = tmp_path / ("a.CSV.gz" if packed else "a.csv")
        path.write_bytes(gzip.compress(content) if packed else content)
        dialect, rows = read_rows(path)
        assert (dialect.header.delimiter, dialect.header.names) == (delimiter, NAMES)
        assert rows == [Row(1, 2, row)]

    @pytest.mark.parametrize(
        ("name", "packed"), [("a.csv", True), ("a.csv.gz", False)], ids=["gzip_as_csv", "plain_as_gz"]
    )
    def test_the_content_and_not_the_name_says_whether_it_is_gzip(self, tmp_path, name, packed):
        content = TWO_ROWS.encode()
        assert len(read(tmp_path / name, gzip.compress(content) if packed else content)[1]) == 2

    @pytest.mark.parametrize("above", ["Table 1", "Table 1,,,,,,,,,,,", '"My, steps"', "steps"])
    def test_a_table_name_above_the_header_is_no_row(self, csv_file, above):
        assert read(csv_file, f"{above}\n{TWO_ROWS}") == (NAMES, [Row(1, 3, GOOD_ROW), Row(2, 4, GOOD_ROW)])

    @pytest.mark.parametrize(
        ("header", "names"),
        [
            ("steps,date,user_id", ("steps", "date", "user_id")),
            ("USER_ID,Date,sTEPS", ("user_id", "date", "steps")),
            ("  user_id ,date\t, steps", ("user_id", "date", "steps")),
            ('"user_id","date","steps"', ("user_id", "date", "steps")),
            ('user_id,date,steps, Device ,"we`ird ""name"""', ("user_id", "date", "steps", "Device", 'we`ird "name"')),
            ("user_id,date,steps,,", ("user_id", "date", "steps", "column_4", "column_5")),
            ('user_id,date,steps,"two\nlines"', ("user_id", "date", "steps", "two\nlines")),
        ],
        ids=["other_order", "other_case", "spaces", "quoted", "unknown_as_they_are", "unnamed", "line_break"],
    )
    def test_columns_are_matched_by_name(self, csv_file, header, names):
        assert read(csv_file, f"{header}\n1,2,3\n")[0] == names

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
    def test_every_kind_of_line_end_ends_a_row_and_blank_lines_are_no_rows(self, csv_file, end):
        content = end.join([HEADER, "", GOOD_ROW, "  ", "", "18", "\t", ""])
        assert read(csv_file, content)[1] == [Row(1, 3, GOOD_ROW), Row(2, 6, "18")]

    @pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
    def test_a_quoted_field_may_span_lines_and_later_rows_keep_their_numbers(self, csv_file, end):
        quoted = end.join([f'{GOOD_ROW},"one', "", 'two ""three"", four"'])
        content = end.join([NOTED, f"{GOOD_ROW},x", quoted, f"{GOOD_ROW},y", ""])
        expected = [Row(1, 2, f"{GOOD_ROW},x"), Row(2, 3, quoted), Row(3, 6, f"{GOOD_ROW},y")]
        assert read(csv_file, content)[1] == expected

    @pytest.mark.parametrize(
        "note",
        ['5"3', 'said "hello', 'x"', '"5"3"', 'so "5,"tired, "'],
        ids=["inside", "word", "end", "quoted", "comma"],
    )
    def test_a_quote_inside_a_cell_opens_no_field(self, csv_file, note):
        lines = [f"{GOOD_ROW},{note}", f"{GOOD_ROW},{note}", f"{GOOD_ROW},"]
        rows = read(csv_file, "\n".join([NOTED, *lines]))[1]
        assert rows == [Row(number, number + 1, line) for number, line in enumerate(lines, start=1)]

    def test_a_quote_after_a_sign_that_is_no_delimiter_of_this_file_opens_no_field(self, csv_file):
        lines = [f'{GOOD_ROW},6 foot; "tall', f"{GOOD_ROW},", f'{GOOD_ROW},5 foot; "small']
        assert [row.text for row in read(csv_file, "\n".join([NOTED, *lines]))[1]] == lines

    def test_a_quote_after_very_many_empty_cells_is_looked_for_once_and_not_from_each_of_them(self, csv_file):
        header, row = HEADER.replace(",", "\t"), GOOD_ROW.replace(",", "\t")
        lines = [f'{row}{tabs}5"3' for tabs in ("\t" * 500_000, "")]  # minutes, if tried from each tab
        assert [row.text for row in read(csv_file, "\n".join([header, *lines]))[1]] == lines

    @pytest.mark.parametrize("quoted", ['\t"two\nlines"', '  "two\nlines"', ' \t "two\nlines"'], ids=repr)
    @pytest.mark.parametrize("delimiter", [",", "\t"], ids=["comma", "tab"])
    def test_blanks_and_tabs_may_stand_before_a_quote_that_opens_a_field(self, csv_file, delimiter, quoted):
        header, row = NOTED.replace(",", delimiter), GOOD_ROW.replace(",", delimiter)
        text = f"{row}{delimiter}{quoted}"
        assert read(csv_file, f"{header}\n{text}\n{row}\n")[1] == [Row(1, 2, text), Row(2, 4, row)]

    @pytest.mark.parametrize("following", [0, 5, 3_000])
    def test_after_a_quote_that_is_never_closed_the_other_rows_go_on_as_rows(self, csv_file, following):
        lines = [GOOD_ROW, f'"{GOOD_ROW}', *[GOOD_ROW] * following]
        rows = read(csv_file, "\n".join([HEADER, *lines]))[1]
        assert rows == [Row(number, number + 1, line) for number, line in enumerate(lines, start=1)]

    def test_a_quote_that_is_closed_only_far_below_is_taken_for_a_stray_one(self, csv_file):
        lines = [f'{GOOD_ROW},"open', *[f"{GOOD_ROW},"] * 1_500, f'{GOOD_ROW},"two', 'lines"', f"{GOOD_ROW},end"]
        rows = read(csv_file, "\n".join([NOTED, *lines]))[1]
        assert rows[0] == Row(1, 2, f'{GOOD_ROW},"open')
        assert rows[-2:] == [Row(1502, 1503, f'{GOOD_ROW},"two\nlines"'), Row(1503, 1505, f"{GOOD_ROW},end")]

    def test_a_quoted_field_that_would_make_a_row_too_long_is_taken_for_a_stray_quote(self, csv_file):
        start = f'{GOOD_ROW},"' + f"{'x' * (MIB // 2)}\n" * 3
        fits, too_long = (f'{start}{"x" * (length - len(start) - 2)}"\n' for length in (LONGEST_ROW, LONGEST_ROW + 1))
        rows = read(csv_file, f"{NOTED}\n{fits}{too_long}{GOOD_ROW}")[1]
        assert [row.text for row in rows] == [fits.rstrip(), *too_long.splitlines(), GOOD_ROW]

    @pytest.mark.parametrize("content", [HEADER, f"{HEADER}\n", f"Table 1\n{HEADER}", f"Table 1\n{HEADER}\n\n \n"])
    def test_a_header_alone_is_an_upload_without_rows(self, csv_file, content):
        assert read(csv_file, content) == (NAMES, [])

    @pytest.mark.parametrize("end", ["", "\n"], ids=["no_line_end", "line_end"])
    def test_one_row_is_enough(self, csv_file, end):
        assert read(csv_file, f"{HEADER}\n{GOOD_ROW}{end}")[1] == [Row(1, 2, GOOD_ROW)]

    def test_a_header_may_have_500_columns(self, csv_file):
        names, rows = read(csv_file, f"{HEADER}{',' * 488}\n{GOOD_ROW}{',1' * 488}\n")
        assert (len(names), len(rows)) == (500, 1)

    def test_a_header_that_comes_again_below_itself_is_a_row(self, csv_file):
        assert read(csv_file, f"{HEADER}\n{HEADER}\n{GOOD_ROW}\n")[1] == [Row(1, 2, HEADER), Row(2, 3, GOOD_ROW)]

    def test_a_file_cut_off_inside_its_last_character_gives_its_rows_all_the_same(self, csv_file):
        rows = read(csv_file, f"{HEADER}\n{GOOD_ROW}\nZoë".encode()[:-1])[1]
        assert (len(rows), rows[0]) == (2, Row(1, 2, GOOD_ROW))

    def test_a_file_larger_than_one_read_keeps_every_row_and_character(self, csv_file):
        row = GOOD_ROW.replace("17", "Zoë", 1)  # the two bytes of ë straddle a border of reads somewhere
        count = 3 * MIB // len(row)
        rows = read(csv_file, "\n".join([HEADER, *[row] * count]))[1]
        assert len(rows) == count
        assert {row.text for row in rows} == {row}

    def test_long_rows_come_a_few_at_a_time(self, csv_file):
        row = f'{GOOD_ROW},"{"x," * (MIB // 4)}"'
        csv_file.write_text("\n".join([NOTED, *[row] * 80]))
        tables = list(read_tables(csv_file, tell_dialect(csv_file), NumberStyles(",")))
        assert [text for table in tables for text in table["text"].to_pylist()] == [row] * 80
        assert max(len(table) for table in tables) < 40


NO_HEADER = "no header was found: the first two rows have to name user_id, date, steps, and the first row is {}"
LACKS = "the header lacks the required {}: it has {}"
NO_STEPS = "; a daily log has steps, and no name here looks like them"
TOO_WIDE = "the header has {} columns, and no more than 500 can be read"
NO_LINES = "the file is not CSV text: it has no line end within a million characters"
NULLS = "the file is not CSV text: it has null bytes from byte {} on"
NOT_TEXT = "the file is not text in UTF-8, UTF-16 or Windows-1252"
DAMAGED = "the file is gzip, but damaged or cut off"
ENDING = "the name ends neither in .csv nor in .csv.gz"
JSON = """{"user_id": "17", (no name); rename '{"user_id": "17"' to user_id"""
GZIPPED = gzip.compress(Random(1).randbytes(2000).hex().encode() + TWO_ROWS.encode())


class TestRefusing:
    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            pytest.param("", "the file is empty", id="zero_bytes"),
            pytest.param(" \r\n\t\n", "the file is empty", id="whitespace"),
            pytest.param(gzip.compress(b""), "the file is empty", id="empty_gzip"),
            pytest.param(codecs.BOM_UTF8 + b"\n", NO_HEADER.format("(no name)"), id="byte_order_mark_alone"),
            pytest.param(
                "user_id,date\n1,2\n", LACKS.format("column steps", "user_id, date") + NO_STEPS, id="no_steps"
            ),
            pytest.param(
                "age,bmi\n1,2\n", LACKS.format("columns user_id, date, steps", "age, bmi") + NO_STEPS, id="no_key"
            ),
            pytest.param(
                "user_id,date,step_s\n",
                LACKS.format("column steps", "user_id, date, step_s; rename 'step_s' to steps"),
                id="misspelt",
            ),
            pytest.param(f"{HEADER},steps\n", "the header names a column twice: steps", id="raw_name_twice"),
            pytest.param(f"{HEADER}, STEPS\n", "the header names a column twice: steps", id="raw_name_in_other_case"),
            pytest.param(f"{HEADER}{',' * 489}\n", TOO_WIDE.format("501"), id="too_many_columns"),
            pytest.param(f"{HEADER}{',x' * 10_000}\n", TOO_WIDE.format("10,012"), id="far_too_many_columns"),
            pytest.param(GOOD_ROW, NO_HEADER.format(GOOD_ROW.replace(",", ", ")), id="no_header"),
            pytest.param(f"a\nb\n{TWO_ROWS}", NO_HEADER.format("a"), id="header_on_line_3"),
            pytest.param('{"user_id": "17",\n "date": "2024-09-06", "steps": 3}', NO_HEADER.format(JSON), id="json"),
            pytest.param(
                "<!DOCTYPE html>\n<html><body>Sign in</body></html>", NO_HEADER.format("<!DOCTYPE html>"), id="html"
            ),
            pytest.param(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\6\0\0\0", NULLS.format(9), id="png"),
            pytest.param(TWO_ROWS.encode() + b"\0\n1", NULLS.format(len(TWO_ROWS) + 1), id="null_byte_between_rows"),
            pytest.param("x" * (MIB + 1), NO_LINES, id="no_line_ends"),
            pytest.param(f"{HEADER}\n{'x' * (3 * MIB)}", NO_LINES, id="no_line_ends_further_down"),
            pytest.param((TWO_ROWS + "\u0a0d" * MIB).encode("utf-16"), NO_LINES, id="no_line_ends_in_utf16"),
            pytest.param(TWO_ROWS.encode() + b"\x81\x8d\n", NOT_TEXT, id="no_encoding_fits"),
            pytest.param(codecs.BOM_UTF16_LE + TWO_ROWS.encode("utf-16-le")[:-1], NOT_TEXT, id="half_a_utf16_unit"),
            pytest.param(codecs.BOM_UTF16_LE + b"\x00\xd8a\x00\n\x00", NOT_TEXT, id="broken_surrogates"),
            pytest.param(GZIPPED[:-1], DAMAGED, id="gzip_without_last_byte"),
            pytest.param(GZIPPED[:300], DAMAGED, id="gzip_cut_off"),
            pytest.param(GZIPPED[:2], DAMAGED, id="gzip_mark_alone"),
            pytest.param(GZIPPED[:-8] + bytes(4) + GZIPPED[-4:], DAMAGED, id="gzip_wrong_checksum"),
            pytest.param(GZIPPED[:10] + b"\xff" * 50 + GZIPPED[60:], DAMAGED, id="gzip_damaged_inside"),
            pytest.param(gzip.compress(TWO_ROWS.encode("utf-16"))[:-1], DAMAGED, id="gzip_of_utf16_cut_off"),
        ],
    )
    def test_a_file_that_is_no_upload_is_refused_with_a_sentence(self, csv_file, content, sentence):
        assert refusal(csv_file, content) == sentence

    @pytest.mark.parametrize(
        ("names", "shown"),
        [
            (['"x\r\nAll is lost\x1b[0m\u202e"'], r"x\r\nAll is lost\x1b[0m\u202e"),
            (["x" * 191], "x" * 191),
            (["x" * 192], f"{'x' * 191}…"),
            ([f"c{n}" for n in range(200)], f"{', '.join(f'c{n}' for n in range(200))[:191]}…"),
        ],
        ids=["unprintable", "long", "too_long", "many"],
    )
    def test_names_from_outside_stand_in_a_refusal_on_one_line_and_not_in_full_length(self, csv_file, names, shown):
        sentence = refusal(csv_file, f"user_id,{','.join(names)}\n")
        assert sentence == LACKS.format("columns date, steps", f"user_id, {shown}") + NO_STEPS

    @pytest.mark.parametrize("name", ["a.xlsx", "a.csv.zip", "a.tsv", "csv", "a.csv.bak"])
    def test_another_ending_is_refused_even_if_the_content_is_good(self, tmp_path, name):
        with pytest.raises(RefusedError) as refused:
            require_name(f"{tmp_path}/{name}")
        assert str(refused.value) == ENDING

    @pytest.mark.parametrize("name", ["a.csv", "A.CSV", "a b.csv.gz", "raw/..;.CSV.GZ"])
    def test_both_endings_are_ingested_whatever_case(self, name):
        require_name(name)

    def test_a_damage_far_below_refuses_the_file_before_any_of_its_rows_is_given(self, csv_file):
        rows = "\n".join([GOOD_ROW] * (2 * MIB // len(GOOD_ROW)))
        csv_file.write_bytes(f"{HEADER}\n{rows}\n".encode() + b"\x81\n")
        with pytest.raises(RefusedError, match="not text"):
            read_rows(csv_file)


class TestBounds:
    def test_a_gzip_file_that_expands_without_measure_is_refused(self, csv_file, monkeypatch):
        monkeypatch.setattr(files, "_MOST_UNPACKED", MIB)
        sentence = "the gzip file expands to more than 200 times its size: it is no log"
        assert refusal(csv_file, gzip.compress(f"{HEADER}\n".encode() + b"\n" * 4 * MIB)) == sentence
        plain = f"{HEADER}\n" + "".join(f"{GOOD_ROW.replace('17', str(n))}\n" for n in range(40_000))
        assert len(read(csv_file, gzip.compress(plain.encode()))[1]) == 40_000

    def test_many_tiny_rows_each_get_their_reason(self, csv_file):
        csv_file.write_text(f"{HEADER}\n" + "1\n" * 20_000)
        tables = read_tables(csv_file, tell_dialect(csv_file), NumberStyles(","))
        reasons = [reason for table in tables for reason in table["problems"].to_pylist()]
        assert reasons == ["the row has 1 cell, and the header 12 names"] * 20_000

    def test_very_many_blank_lines_are_no_rows_and_the_next_row_keeps_its_line(self, csv_file):
        assert read(csv_file, f"{HEADER}\n" + "\n" * 20_000 + GOOD_ROW)[1] == [Row(1, 20_002, GOOD_ROW)]

    def test_uploads_with_different_headers_go_to_the_engine_as_one_file(self, tmp_path):
        rows = RowFiles(tmp_path / "rows")
        for number in range(300):
            path = tmp_path / f"{number}.csv"
            path.write_text(f"user_id,date,steps,walk {number}\n17,2024-09-06,8120,{number}\n")
            tables = read_tables(path, tell_dialect(path), NumberStyles(","))
            rows.keep(rows.draft(str(number), datetime(2024, 9, 7, tzinfo=UTC), tables))
        (only,) = rows.close()
        extra = pq.read_table(only)["extra"].to_pylist()
        assert extra == [f'{{"walk {number}":"{number}"}}' for number in range(300)]

    @pytest.mark.parametrize(("before", "reason"), [(GOOD_ROW, CUT_OFF), ("17,42,F,2024-09-05,8120,71.5,7.2", None)])
    def test_a_short_last_row_without_a_line_end_may_be_cut_off(self, csv_file, before, reason):
        """Not where rows of this file are so short."""
        csv_file.write_text(f"{HEADER}\n{before}\n17,42,F,2024-09-06,8120,71.5,7")
        tables = read_tables(csv_file, tell_dialect(csv_file), NumberStyles(","))
        assert [reason for table in tables for reason in table["problems"].to_pylist()] == [None, reason]
