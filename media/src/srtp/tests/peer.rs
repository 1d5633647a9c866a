//! What libsrtp 2 makes of the packets in `super`, under master keys of the bytes 1, 2, 3 and so on: RTP with an
//! extension, RTP after a rollover, and two receiver reports.

use crate::srtp::Suite;

pub(super) const PEER: [(Suite, [&str; 4]); 4] = [
    (
        Suite::AesCm128HmacSha1_80,
        [
            "900f1234decafbadcafebabebede000110aa000098623df50269e04c53cdf9fe3131cfec604458716ae3082b410adab1c484e077930d",
            "80000003000000a0cafebabe43cce2de4a88851dba1f45ecaf9de887d4ff3916ae5e8447af4ac8960358",
            "81c90007cafebabea85a0b5b3178bbfa3990190d8f7c76dec32d24eacb8f903f800000018a19a7c84ed2197b4b85",
            "81c90007cafebabeb456b80abe6d31bc2657186ecd7b161abe1261a7d09ff6d28000000258c55a3580fe83659ea3",
        ],
    ),
    (
        Suite::AesCm128HmacSha1_32,
        [
            "900f1234decafbadcafebabebede000110aa000098623df50269e04c53cdf9fe3131cfec604458716ae3082b410adab1",
            "80000003000000a0cafebabe43cce2de4a88851dba1f45ecaf9de887d4ff3916ae5e8447",
            "81c90007cafebabea85a0b5b3178bbfa3990190d8f7c76dec32d24eacb8f903f800000018a19a7c84ed2197b4b85",
            "81c90007cafebabeb456b80abe6d31bc2657186ecd7b161abe1261a7d09ff6d28000000258c55a3580fe83659ea3",
        ],
    ),
    (
        Suite::AeadAes128Gcm,
        [
            "900f1234decafbadcafebabebede000110aa0000e54421a940c3bc9b897652c7c7b62fc033bf3e6990ba5598208e94023cb4d9c19e31cee90e0ee118",
            "80000003000000a0cafebabe99baee43c9b139d76978f435d72268c7e4a3d105ede8003443b122c41d7b1bc0ad8ec811",
            "81c90007cafebabe70d6ca1cdc9589f3b811ae674dcde02c03cb990a52a066a52de58422a290b60b5b745878bbbaabbd80000001",
            "81c90007cafebabe2d27150c6ede310f3e34a8438b07f58a2d9c4f170c7dd48c263d711b6f6a0bc28e9dae76956cfaa780000002",
        ],
    ),
    (
        Suite::AeadAes256Gcm,
        [
            "900f1234decafbadcafebabebede000110aa0000a9818083e32c12f91a161f222c5175923e2228c512af3b8ae92a7b107daa711cf608fcc50d735dda",
            "80000003000000a0cafebabe3803e484b74d1d70256c85da12b90c412bdbe1051605467431e474ff0e379746a4eb4b49",
            "81c90007cafebabe2e5248a31db55796bb9ee0519ee154981db74358f950786dd4cad6729f67e6d9025ac452240bc8a180000001",
            "81c90007cafebabe01f13d8740777ff0beb60c8e6907296198a91bbf6789d8d328fd162a6e5e8980a4742de67965bde680000002",
        ],
    ),
];
