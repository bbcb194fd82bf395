"""A tool for CSV files: a page with a form, a summary of each column, and a conversion to JSON that is streamed."""
import csv
import io
import json
import statistics

from flask import Flask, Response, abort, jsonify, render_template, request

MAX_UPLOAD_BYTES = 8 * 1024 * 1024


def create_app() -> Flask:
    app = Flask(__name__)

    @app.before_request
    def limit_upload():
        # MAX_CONTENT_LENGTH of Flask 2.2 limits forms only.
        if (request.content_length or 0) > MAX_UPLOAD_BYTES:
            abort(413)

    @app.get("/")
    def index():
        return render_template("index.html", limit_mib=MAX_UPLOAD_BYTES // 1024**2)

    @app.post("/summary")
    def summary():
        rows = list(uploaded_rows())
        columns = rows[0].keys() if rows else []
        return jsonify(rows=len(rows), columns={name: summarise([row[name] for row in rows]) for name in columns})

    @app.post("/json-lines")
    def json_lines():
        rows = uploaded_rows()
        # A generator: each part of the answer is sent as it is made.
        return Response((json.dumps(row) + "\n" for row in rows), mimetype="application/x-ndjson")

    @app.errorhandler(400)
    @app.errorhandler(413)
    def refuse(error):
        return jsonify(error=error.description), error.code

    @app.errorhandler(csv.Error)
    def refuse_table(error):
        return jsonify(error=f"Cannot read the file as CSV: {error}"), 400

    return app


def uploaded_rows() -> csv.DictReader:
    """The rows of the file in a form's field `file`, or of the body itself."""
    upload = request.files.get("file")
    data = upload.read() if upload else request.get_data()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        abort(400, f"Cannot read the file as UTF-8: byte {error.start} is none")
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="more", restval="")
    if not rows.fieldnames:
        abort(400, "Cannot find columns: the file is empty")
    return rows


def summarise(values: list) -> dict:
    """Figures of a column of numbers, or the number of different texts in any other."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return {"kind": "text", "different": len({str(value) for value in values})}
    return {
        "kind": "number",
        "least": min(numbers),
        "mean": round(statistics.fmean(numbers), 3),
        "greatest": max(numbers),
    }
