# What gunicorn serves.


def answer(environ, start_response):
    target = environ["RAW_URI"]
    print(f"200 {environ['REQUEST_METHOD']} {target}", flush=True)
    environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Length", "2"), ("X-Target", target)])
    return [b"ok"]
