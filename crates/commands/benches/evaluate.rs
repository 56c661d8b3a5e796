//! What one command costs over the store in memory: lookup, handler, codec.

use std::hint::black_box;

use commands::{Args, Cx, Handler, Id, by_id, lookup};
use criterion::{Criterion, criterion_group, criterion_main};
use datatypes::Limits;
use datatypes::mem::MemKv;
use resp::{Protocol, Reply};

const KEYS: usize = 10_000;
const CX: Cx =
    Cx { now_ms: 1_700_000_000_000, db: 0, seed: 1, protocol: Protocol::Resp2, limits: Limits::DEFAULT };

fn execute(kv: &mut MemKv, id: Id, args: &[&[u8]]) -> Reply {
    let args = Args::new(args);
    match by_id(id as u16).and_then(|spec| spec.handler()) {
        Some(Handler::Read(read)) => read(kv, &args, &CX).expect("a good command"),
        Some(Handler::Write(write)) => write(kv, &args, &CX).expect("a good command"),
        None => unreachable!("only commands of a group are measured"),
    }
}

fn evaluate(c: &mut Criterion) {
    let names: Vec<String> = (0..KEYS).map(|i| format!("key:{i:012}")).collect();
    let value = [b'x'; 100];
    let mut kv = MemKv::default();
    for name in &names {
        execute(&mut kv, Id::Set, &[name.as_bytes(), &value]);
    }
    let mut next = 0;
    let mut key = || {
        next = (next + 7919) % KEYS;
        names[next].as_bytes()
    };
    let mut group = c.benchmark_group("evaluate");
    group.bench_function("lookup", |b| b.iter(|| lookup(black_box(b"GETRANGE"))));
    group.bench_function("get", |b| b.iter(|| execute(&mut kv, Id::Get, &[key()])));
    group.bench_function("set", |b| b.iter(|| execute(&mut kv, Id::Set, &[key(), &value])));
    group.bench_function("set_ex", |b| b.iter(|| execute(&mut kv, Id::Set, &[key(), &value, b"EX", b"100"])));
    for name in &names {
        execute(&mut kv, Id::Set, &[name.as_bytes(), b"1"]);
    }
    group.bench_function("incr", |b| b.iter(|| execute(&mut kv, Id::Incr, &[key()])));
    group.finish();
}

criterion_group!(benches, evaluate);
criterion_main!(benches);
