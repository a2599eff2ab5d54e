from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from icectl.errors import UsageError
from icectl.sources.dates import parse_date
from icectl.sources.names import by_name, compile_pattern


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("20190710_green", "2019-07-10"),
        ("green-2019-07-10", "2019-07-10"),
        ("2019_07_10", "2019-07-10"),
        ("20190710T103021Z", "2019-07-10"),
        ("2019-07-10 10:20:30", "2019-07-10"),
        ("parvati_2019Q3", "2019-07-01"),
        ("x_2019-Q3", "2019-07-01"),
        ("2019-07", "2019-07-01"),
        ("a201907b", "2019-07-01"),
        ("snow_2019191", "2019-07-10"),
        ("LT50350322011294PAC01_stack", "2011-10-21"),
        ("annual_2019", "2019-01-01"),
        ("20191301_20190710", "2019-07-10"),
        ("2019-7-9", "2019-07-09"),  # was the first of January
        ("10JUL2019", "2019-07-10"),
        ("glacier_10_July_2019", "2019-07-10"),
        ("2019Jul", "2019-07-01"),
        ("Gletscher_10_Juli_2019", "2019-07-10"),  # other languages' months were the first of January
        ("1. März 2019", "2019-03-01"),
        ("10_août_2019", "2019-08-10"),
        ("Jul 10, 2019", "2019-07-10"),
        ("S2_march_2019", "2019-03-01"),  # was the second
        ("march_2019-07-10", "2019-07-10"),
        ("AST_L1T_00307102019101234_20190801_2", "2019-07-10"),  # was the day of processing
        ("AST14DEM_00307102019101234_20210801123456_77", "2019-07-10"),  # was the day of processing
        ("LC080090112019071001T1-SC20200101123456", "2019-07-10"),
        ("AST_09T_00307102019101234_20210801123456_77", "2019-07-10"),
        ("VNP10A1.A2019191.h24v05.002.2023123011457", "2019-07-10"),  # was the end of 2023
        ("MOD10A1.A2019191.h24v05.061.2021101123456", "2019-07-10"),
        ("MOD10A1.061_NDSI_Snow_Cover_doy2019191000000_aid0001", "2019-07-10"),
        ("PRS_L1_STD_20190710101512_1", "2019-07-10"),
        ("DIM_PHR1A_PMS_201907101015123_ORT", "2019-07-10"),
    ],
)
def test_the_forms_of_a_date(text, start):
    assert parse_date(text).start.date().isoformat() == start


@pytest.mark.parametrize("text", ["x_KW28_2019", "2019-W28", "10_heinäkuuta_2019", "x_07-2019", "2019-02-30"])
def test_a_year_beside_a_week_a_month_before_it_or_a_day_that_is_none_is_no_date(text):
    assert parse_date(text) is None


@pytest.mark.parametrize(
    "text", ["green", "123456789012", "dem", "20190231x", "190103", "DOY191_2019", "2019040999999"]
)
def test_no_date_is_invented(text):
    period = parse_date(text)
    assert period is None or period.start.month != 2


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2019Q1", "2019-03-31T23:59:59"),
        ("2019Q4", "2019-12-31T23:59:59"),
        ("2020-02", "2020-02-29T23:59:59"),
        ("2019", "2019-12-31T23:59:59"),
    ],
)
def test_composites_have_a_span(text, end):
    assert parse_date(text).end == datetime.fromisoformat(f"{end}+00:00")


@pytest.mark.parametrize(
    ("layer", "asset"),
    [
        ("LC08_L2SP_005009_20150710_20200908_02_T2_SR_B3", "green"),
        ("LC09_L2SP_005009_20220710_20220908_02_T1_SR_B6", "swir16"),
        ("LE07_L2SP_005009_20050710_20200908_02_T1_SR_B2", "green"),
        ("LT05_L2SP_005009_19950710_20200908_02_T1_SR_B5", "swir16"),
        ("LT04_L2SP_005009_19850710_20200908_02_T1_SR_B7", "swir22"),
        ("LC08_L2SP_005009_20150710_20200908_02_T2_QA_PIXEL", "qa_pixel"),
        ("LC08_L2SP_005009_20150710_20200908_02_T2_SR_QA_AEROSOL", "qa_aerosol"),
    ],
)
def test_band_numbers_follow_the_sensor(layer, asset):
    named = by_name(layer)
    assert named.asset == asset
    assert named.period.start.date().isoformat()[4:] == "-07-10"  # acquisition, not processing (0908)
    assert named.scene == "_".join(layer.split("_")[:7])
    reflectance = asset in ("green", "swir16", "swir22")
    assert (named.band.scale, named.band.offset) == ((2.75e-05, -0.2) if reflectance else (None, None))


LANDSAT = "LC08_L2SP_147038_20210305_20220503_02_T1"


@pytest.mark.parametrize(
    ("name", "asset", "scene"),
    [
        ("20190710_green", "green", "20190710"),
        ("greenland_20190710_swir1", "swir16", "greenland_20190710"),
        ("MOD09GA.A2019191.h18v04.061_sur_refl_b04_1", "green", "MOD09GA.A2019191.h18v04.061_1"),
        ("qa_pixel-20190710", "qa_pixel", "20190710"),
        ("parvati_2019Q1", None, "parvati_2019Q1"),
        ("2019-07-10/green", "green", ""),
        ("S2B_43RFP_20220701_0_L2A/B03", "green", ""),  # as open archives name Sentinel-2
        ("S2B_43RFP_20220701_0_L2A/B11", "swir16", ""),
        ("L8_20220701_B11", None, "L8_20220701_B11"),  # Landsat's is thermal
        ("LC81470382013159LGN00_B11", "unused", "LC81470382013159LGN00"),
        ("LE71470382001159SGS00_B5", "swir16", "LE71470382001159SGS00"),
        ("LC08_AK_012005_20210305_20220503_02_SR_B3", "green", "LC08_AK_012005_20210305_20220503_02"),
        ("LC08_L2SP_147038_20210305_20220503_02_T1_SR_B3_clip", "green", LANDSAT),
        ("LC08_L2SP_147038_20210305_20220503_02_T1_QA_PIXEL_clip", "qa_pixel", LANDSAT),
    ],
)
def test_words_name_assets(name, asset, scene):
    named = by_name(name)
    assert (named.asset, named.scene) == (asset, scene)
    assert named.period is not None


@pytest.mark.parametrize(
    "text",
    ["S1A_20200101T173015_2", "2020-01-01T17:30:15.123Z", "2020:01:01 17:30:15", "20200101173015"],
)
def test_a_time_of_day_is_read(text):
    assert parse_date(text).clock == timedelta(hours=17, minutes=30, seconds=15)
    assert parse_date(text.replace("17", "87")).clock == timedelta(0)


def test_years_of_two_digits_in_a_pattern():
    pattern = compile_pattern(r"(?P<year>\d\d)(?P<month>\d\d)(?P<day>\d\d)")
    found = [by_name(text, pattern).period.start.date().isoformat() for text in ("190103", "990103")]
    assert found == ["2019-01-03", "1999-01-03"]


def test_layers_without_a_date_hold_for_the_series():
    assert by_name("mask").static
    assert by_name("glacier_dem").static
    assert not by_name("mask_20200101").static
    assert not by_name("unknown").static


def test_a_pattern_outweighs_the_name():
    pattern = compile_pattern(r"(?P<asset>[a-z]+)-(?P<day>\d\d)(?P<month>\d\d)(?P<year>\d{4})")
    named = by_name("x/nir-10072019", pattern)
    assert named.asset == "nir08"
    assert named.period.start.date().isoformat() == "2019-07-10"
    assert by_name("other", pattern).period is None


@pytest.mark.parametrize(
    ("pattern", "sentence"),
    [
        ("(?P<date>", "no regular expression"),
        (r"(?P<dat>\d+)", "unknown group 'dat'"),
        (r"(?P<asset>\w+)", "names no date"),
    ],
)
def test_a_bad_pattern_is_refused(pattern, sentence):
    with pytest.raises(UsageError, match=sentence) as error:
        compile_pattern(pattern)
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "text",
    ["20230115_processed_20220701", "S2_2022-07-01_2022-07-08", "LC08_L2SP_147038_20220701_20220726_02"],
)
def test_of_two_days_the_earlier_is_that_of_acquisition(text):
    """A day of processing that stood first was taken."""
    assert parse_date(text).start == datetime(2022, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["ndsi_2022H2", "2022-H1"])
def test_a_half_year_is_not_its_year(text):
    """The second half of a year was dated by its January."""
    assert parse_date(text) is None
