"""redis_lite with redis-py: python redis_py.py PORT"""

import sys

import redis

port = int(sys.argv[1])


def equal(got, expected):
    assert got == expected, f"{got!r} is not {expected!r}"


for options in [{}, {"protocol": 2}, {"protocol": 3}, {"decode_responses": True}]:
    r = redis.Redis(port=port, **options)
    text = (lambda value: value) if options.get("decode_responses") else str.encode
    equal(r.ping(), True)
    equal(r.flushall(), True)
    equal(r.set("a", 1), True)
    equal(r.get("a"), text("1"))
    equal(r.get("nosuch"), None)
    equal(r.set("a", 2, nx=True), None)
    equal(r.set("a", 2, ex=100, get=True), text("1"))
    equal(r.ttl("a"), 100)
    equal(r.set("a", 3, keepttl=True), True)
    assert 99_000 < r.pttl("a") <= 100_000
    equal(r.persist("a"), True)
    equal(r.ttl("a"), -1)
    equal(r.ttl("nosuch"), -2)
    equal(r.expire("a", 50, gt=True), False)
    equal(r.expireat("a", 33177117420), True)
    equal(r.expiretime("a"), 33177117420)
    equal([r.incr("n"), r.incrby("n", 9), r.decr("n"), r.decrby("n", 4)], [1, 10, 9, 5])
    equal(r.mset({"x": 1, "y": 2}), True)
    equal(r.mget("x", "y", "nosuch"), [text("1"), text("2"), None])
    equal(r.exists("x", "y", "nosuch"), 2)
    equal(r.append("x", "23"), 3)
    equal(r.strlen("x"), 3)
    equal(r.getset("x", "new"), text("123"))
    equal(r.getdel("x"), text("new"))
    equal(r.setnx("x", 1), True)
    equal(r.setnx("x", 1), False)
    equal(r.getex("x", ex=100), text("1"))
    equal(r.type("x"), text("string"))
    equal(r.dbsize(), 4)
    equal(sorted(r.keys("[xy]")), [text("x"), text("y")])
    equal(sorted(r.scan_iter(match="[xy]", count=1)), [text("x"), text("y")])
    equal(r.delete("x", "y"), 2)
    with r.pipeline() as pipe:
        equal(pipe.set("p", 1).incr("p").get("p").execute(), [True, 2, text("2")])
    with r.pipeline(transaction=False) as pipe:
        for _ in range(10_000):
            pipe.incr("q")
        equal(pipe.execute()[-1], 10_000)
    equal(r.client_setname("me"), True)
    assert r.client_getname() in ("me", b"me")
    assert r.client_id() > 0
    assert any(client["name"] == "me" for client in r.client_list())
    equal(r.info()["role"], "master")
    equal(r.config_get("maxmemory-policy"), {"maxmemory-policy": "noeviction"})
    assert r.command_count() > 40
    assert "get" in r.command()
    equal(r.echo("hi"), text("hi"))
    equal(r.execute_command("SELECT", 0), True)
    try:
        r.lpush("a", 1)
        raise AssertionError("there is no LPUSH")
    except redis.ResponseError as error:
        assert "unknown command" in str(error)
    r.close()
