"""What needs a server, a database or a page: extras only, built on the public names of the library.

server    answers gateways that do not run Python: nginx, HAProxy, Caddy, Traefik, Envoy; and the admin API
stores    keep keys and lists in a database
usage     keeps every request on record
feeds     take over lists that publishers keep
client    asks the admin API
"""

from __future__ import annotations
