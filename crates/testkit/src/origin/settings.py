# How gunicorn is started.

bind = "127.0.0.1:@PORT@"
worker_class = "gthread"
threads = 8
keepalive = 30
worker_tmp_dir = "@FOLDER@"
errorlog = "@FOLDER@/error.log"
loglevel = "debug"  # what it cannot read, it tells at this level only
wsgi_app = "app:answer"
chdir = "@FOLDER@"
