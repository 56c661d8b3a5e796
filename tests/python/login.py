"""redis-py logs in as a user, on every proxy and with both protocols.

    login.py --plain HOST:PORT,… --user NAME --password PASSWORD

Exits 0 when everything held; otherwise a traceback says what did not.
"""

import argparse

import redis


def check(address, user, password, protocol):
    host, port = address.rsplit(":", 1)
    options = {"host": host, "port": int(port), "protocol": protocol}
    client = redis.Redis(username=user, password=password, **options)
    assert client.acl_whoami() in (user, user.encode())
    assert client.set("python:mine", "1") is True
    try:
        client.set("other", "1")
    except redis.exceptions.NoPermissionError:
        pass
    else:
        raise AssertionError("a key that is not allowed was written")
    client.close()
    try:
        redis.Redis(username=user, password=password + "!", **options).ping()
    except redis.exceptions.AuthenticationError:
        pass
    else:
        raise AssertionError("a wrong password was accepted")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--plain", required=True)
    parser.add_argument("--user", required=True)
    parser.add_argument("--password", required=True)
    args = parser.parse_args()
    for address in args.plain.split(","):
        for protocol in (2, 3):
            check(address, args.user, args.password, protocol)


if __name__ == "__main__":
    main()
