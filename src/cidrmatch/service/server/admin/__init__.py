"""The admin API: people and programs read and change what a store holds, over HTTP.

request --face: route, token, role, query, body--> Asked --reading, changing: in a thread--> Answer --face--> response

face         the ASGI application
operations   one row for each operation: path, role, function, what it takes, what it gives
described    the rows as an OpenAPI document, and the judge of bodies
asked        a request that was read, and the answer
reading      what viewers may do
changing     what editors and admins may do
"""
