//! Cost of decoding a request and of encoding a reply.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use resp::{Decoded, Decoder, Protocol, Reply, encode};

fn decode(c: &mut Criterion) {
    let value = "x".repeat(100);
    let set = format!("*3\r\n$3\r\nSET\r\n$16\r\nkey:000000012345\r\n$100\r\n{value}\r\n").repeat(16);
    let get = "*2\r\n$3\r\nGET\r\n$16\r\nkey:000000012345\r\n".repeat(16);
    let mut group = c.benchmark_group("decode");
    group.throughput(Throughput::Elements(16));
    for (name, input) in [("set_100B_x16", set), ("get_x16", get)] {
        let mut decoder = Decoder::default();
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut rest = input.as_bytes();
                while let Ok(Decoded::Request { consumed }) = decoder.decode(rest) {
                    black_box(decoder.args(rest).map(<[u8]>::len).sum::<usize>());
                    rest = &rest[consumed..];
                }
            });
        });
    }
}

fn encode_replies(c: &mut Criterion) {
    let bulk = Reply::bulk("x".repeat(100));
    let array = Reply::Array((0..10).map(|n| Reply::bulk(format!("value-{n}"))).collect());
    let mut group = c.benchmark_group("encode");
    for (name, reply) in [("ok", Reply::OK), ("bulk_100B", bulk), ("array_10", array)] {
        let mut out = Vec::with_capacity(4096);
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                encode(black_box(&reply), Protocol::Resp2, &mut out);
                black_box(out.len())
            });
        });
    }
}

criterion_group!(benches, decode, encode_replies);
criterion_main!(benches);
