"""A Flask program, made by a factory."""
from flask import Flask, Response, request


def create_app():
    app = Flask(__name__)

    @app.route("/")
    def index():
        return request.url

    @app.route("/stream")
    def stream():
        return Response((str(number) for number in range(3)), mimetype="text/plain")

    return app


class holder:
    app = create_app()
