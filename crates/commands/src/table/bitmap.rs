//! Bitmaps.

use crate::doc::{Arg, Group, block, integer, key_arg, one_of, string, word};
use crate::flags::category;
use crate::flags::flag::{DENYOOM, FAST};
use crate::handler::bitmap;
use crate::keyspec::key_flag::{ACCESS, OW, RO, RW, UPDATE, VARIABLE_FLAGS};
use crate::keyspec::{key, keys};
use crate::spec::{at_least, exactly, read, write};
use crate::{Id, Spec};

const UNIT: Arg = one_of("unit", &[word("byte", "BYTE"), word("bit", "BIT")]).since("7.0.0").optional();

const GET_FIELD: Arg = block("get-block", &[string("encoding"), integer("offset")]).token("GET");

const WRITE_FIELD: Arg = block(
    "write",
    &[
        one_of("overflow-block", &[word("wrap", "WRAP"), word("sat", "SAT"), word("fail", "FAIL")])
            .token("OVERFLOW")
            .optional(),
        one_of(
            "write-operation",
            &[
                block("set-block", &[string("encoding"), integer("offset"), integer("value")]).token("SET"),
                block("incrby-block", &[string("encoding"), integer("offset"), integer("increment")])
                    .token("INCRBY"),
            ],
        ),
    ],
);

pub static ROWS: &[Spec] = &[
    read(Id::Bitcount, "bitcount", at_least(2), &[key(1, RO | ACCESS)], bitmap::bitcount)
        .acl(category::BITMAP)
        .doc(
            Group::Bitmap,
            "2.6.0",
            "O(N) in the length of the range",
            "Counts the set bits of a string, or of a part of it.",
        )
        .args(&[key_arg("key", 0), block("range", &[integer("start"), integer("end"), UNIT]).optional()]),
    write(
        Id::Bitfield,
        "bitfield",
        at_least(2),
        &[key(1, RW | ACCESS | UPDATE | VARIABLE_FLAGS)
            .notes("This command allows both access and modification of the key")],
        bitmap::bitfield,
    )
    .flags(DENYOOM)
    .acl(category::BITMAP)
    .doc(
        Group::Bitmap,
        "3.2.0",
        "O(1) for each operation, and O(N) in the length of the string if any of them writes",
        "Reads and writes integers of any width inside a string.",
    )
    .args(&[key_arg("key", 0), one_of("operation", &[GET_FIELD, WRITE_FIELD]).multiple().optional()]),
    read(Id::BitfieldRo, "bitfield_ro", at_least(2), &[key(1, RO | ACCESS)], bitmap::bitfield_ro)
        .flags(FAST)
        .acl(category::BITMAP)
        .doc(
            Group::Bitmap,
            "6.0.0",
            "O(1) for each operation",
            "Reads integers of any width inside a string.",
        )
        .args(&[key_arg("key", 0), GET_FIELD.multiple_token().optional()]),
    write(
        Id::Bitop,
        "bitop",
        at_least(4),
        &[key(2, OW | UPDATE), keys(3, -1, 1, RO | ACCESS)],
        bitmap::bitop,
    )
    .flags(DENYOOM)
    .acl(category::BITMAP)
    .doc(
        Group::Bitmap,
        "2.6.0",
        "O(N) in the length of all strings",
        "Combines several strings bit by bit and stores the result.",
    )
    .args(&[
        one_of("operation", &[word("and", "AND"), word("or", "OR"), word("xor", "XOR"), word("not", "NOT")]),
        key_arg("destkey", 0),
        key_arg("key", 1).multiple(),
    ]),
    read(Id::Bitpos, "bitpos", at_least(3), &[key(1, RO | ACCESS)], bitmap::bitpos)
        .acl(category::BITMAP)
        .doc(
            Group::Bitmap,
            "2.8.7",
            "O(N) in the length of the range",
            "Finds the first bit of a string, or of a part of it, that is set or not set.",
        )
        .args(&[
            key_arg("key", 0),
            integer("bit"),
            block(
                "range",
                &[integer("start"), block("end-unit-block", &[integer("end"), UNIT]).optional()],
            )
            .optional(),
        ]),
    read(Id::Getbit, "getbit", exactly(3), &[key(1, RO | ACCESS)], bitmap::getbit)
        .flags(FAST)
        .acl(category::BITMAP)
        .doc(Group::Bitmap, "2.2.0", "O(1)", "Answers one bit of a string.")
        .args(&[key_arg("key", 0), integer("offset")]),
    write(Id::Setbit, "setbit", exactly(4), &[key(1, RW | ACCESS | UPDATE)], bitmap::setbit)
        .flags(DENYOOM)
        .acl(category::BITMAP)
        .doc(
            Group::Bitmap,
            "2.2.0",
            "O(N) in the length of the resulting value",
            "Sets or clears one bit of a string and answers the one before; creates the key if it is missing.",
        )
        .args(&[key_arg("key", 0), integer("offset"), integer("value")]),
];
