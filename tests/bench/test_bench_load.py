"""The bench of what one machine carries, on little: it runs, and its ratios are of what it says."""

import json

import pytest

from bench.load import ingest as load_ingest
from bench.load import main as load
from bench.load.ingest import Ingest
from tests.broker import needs_mosquitto
from tests.postgres import needs_postgres


@pytest.mark.slow
@pytest.mark.needs_broker
@needs_mosquitto
def test_it_prints_one_object_with_the_ratios(capsys, monkeypatch):
    monkeypatch.setattr(load, "SMALL", 200)
    monkeypatch.setattr(load_ingest, "SESSIONS_BEFORE", 200)
    few = ["--databases", "sqlite", "--rounds", "1", "--documents", "40", "--sessions", "400"]
    assert load.main([*few, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    ratios = {"mqtt_over_bulk", "http_over_bulk", "http_batch_over_bulk", "mqtt_over_insert"}
    assert result.keys() >= {"history_1m_over_10k", *ratios}
    assert result.keys() >= load.OVER_HISTORY.keys()
    short = result["pages"]["sqlite"]["pages"]
    over = short["person's page, 90 days"]["ms"][0] / short["history"]["ms"][0]
    assert result["person_90_over_history"] == pytest.approx(over, 0.01)
    row = result["taking_in"]["sqlite"]
    assert result["mqtt_over_bulk"] == pytest.approx(
        row["per_s"]["mqtt"] / row["per_s"]["bulk"], 0.01
    )
    history = result["pages"]["sqlite"]["pages"]["history"]
    assert history["queries"][0] == history["queries"][1]
    assert "history" in load.table(result)


@pytest.mark.slow
@pytest.mark.needs_postgres
@pytest.mark.needs_broker
@needs_mosquitto
@needs_postgres
def test_a_table_in_months_answers_as_the_whole_one_does(capsys, monkeypatch):
    monkeypatch.setattr(load, "SMALL", 200)
    few = ["--databases", "postgresql", "--parts", "reading", "--rounds", "1", "--json"]
    long_table = ["--sessions", "8000", "--people", "10", "--bare", "--by-month", "--api"]
    assert load.main([*few, *long_table]) == 0
    pages = json.loads(capsys.readouterr().out)["pages"]["postgresql"]["pages"]
    assert pages["history"]["queries"][0] == pages["history"]["queries"][1]
    assert pages["history"]["blocks"][1] > 0


def test_documents_a_second_are_of_the_median_round():
    taken = Ingest(100, 1)
    taken.seconds["mqtt"] = [0.5, 0.1, 1.0]
    assert taken.per_s("mqtt") == 200
