//! The bytes of every message, and what is not one.

use super::*;
use proptest::prelude::*;

fn malformed(bytes: &[u8]) -> bool {
    let error = decode(&Bytes::copy_from_slice(bytes)).unwrap_err();
    error.close_code() == CloseCode::Malformed
}

// R-SYNC-1
#[test]
fn the_bytes_are_those_of_y_protocols() {
    assert_eq!(&sync_step1(&[0])[..], &[0, 0, 1, 0]);
    assert_eq!(&sync_step2(&[0, 0])[..], &[0, 1, 2, 0, 0]);
    assert_eq!(&update(&[7, 8, 9])[..], &[0, 2, 3, 7, 8, 9]);
    assert_eq!(&awareness(&[0])[..], &[1, 1, 0]);
    assert_eq!(&permission_denied("no")[..], &[2, 0, 2, b'n', b'o']);
    assert_eq!(&saved(300)[..], &[120, 0xac, 0x02]);
    assert_eq!(&encode_client(&ClientFrame::QueryAwareness)[..], &[3]);
}

#[test]
fn payloads_are_slices_of_the_message() {
    let message = update(&[7; 100]);
    let ClientFrame::Update { update } = decode(&message).unwrap() else { panic!("an update") };
    assert_eq!(update.as_ptr(), message[3..].as_ptr());
}

// R-SYNC-1
#[test]
fn a_message_that_is_cut_short_or_followed_by_more_is_malformed() {
    let whole = update(&[7; 300]);
    for cut in 0..whole.len() {
        assert!(malformed(&whole[..cut]), "cut at {cut}");
    }
    let mut more = whole.to_vec();
    more.push(0);
    assert!(malformed(&more));
    assert!(malformed(&[3, 0]), "a query has no payload");
    assert!(malformed(&[0, 3, 0]), "there is no fourth step of sync");
    assert!(malformed(&[122, 2, 0xc3, 0x28]), "a token is text");
}

// R-LIMIT-6
#[test]
fn a_length_of_half_a_gigabyte_in_five_bytes_is_malformed() {
    assert!(malformed(&[0, 2, 0xff, 0xff, 0xff, 0xff, 0x01]));
    assert!(malformed(&[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]));
}

// R-LIMIT-1
#[test]
fn each_kind_has_its_own_ceiling() {
    for (frame, kept) in [
        (update(&vec![0; UPDATE_BYTES_MAX]), true),
        (update(&vec![0; UPDATE_BYTES_MAX + 1]), false),
        (sync_step2(&vec![0; UPDATE_BYTES_MAX + 1]), true),
        (sync_step2(&vec![0; DOCUMENT_BYTES_MAX + 1]), false),
        (sync_step1(&vec![0; STATE_VECTOR_BYTES_MAX + 1]), false),
        (awareness(&vec![0; AWARENESS_BYTES_MAX]), true),
        (awareness(&vec![0; AWARENESS_BYTES_MAX + 1]), false),
        (encode_client(&ClientFrame::Renew { token: "x".repeat(RENEW_BYTES_MAX) }), false),
    ] {
        match decode(&frame) {
            Ok(_) => assert!(kept),
            Err(error) => {
                assert!(!kept);
                assert_eq!(error.close_code().as_u16(), 4413);
            }
        }
    }
}

// R-SYNC-2
#[test]
fn unknown_types_are_named_and_not_read() {
    let message = Bytes::from_static(&[119, 0xff, 0xff]);
    assert_eq!(decode(&message), Ok(ClientFrame::Unknown { kind: 119 }));
    assert_eq!(decode_server(&message), Ok(ServerFrame::Unknown { kind: 119 }));
    // A client has no business denying permissions.
    assert_eq!(decode(&permission_denied("x")), Ok(ClientFrame::Unknown { kind: 2 }));
}

// R-NOTE-1, R-LIMIT-7
#[test]
fn notices_say_their_type_and_stable_words() {
    let hello = Notice::Hello {
        role: DesignRole::Editor,
        epoch: Epoch::new(2),
        seq: Seq::new(17),
        limits: NoticeLimits::default(),
        read_only: None,
    };
    let ServerFrame::Notice(json) = decode_server(&notice(&hello)).unwrap() else { panic!("a notice") };
    assert_eq!(json["type"], "hello");
    assert_eq!(json["role"], "editor");
    assert_eq!(json["epoch"], 2);
    assert_eq!(json["seq"], 17);
    assert_eq!(json["limits"]["update_bytes_max"], 1 << 20);
    assert!(json.get("read_only").is_none());

    let refused = Notice::Refused { message: "é".into(), code: RefusalCode::SpentClient, reset: true };
    let ServerFrame::Notice(json) = decode_server(&notice(&refused)).unwrap() else { panic!("a notice") };
    let expected =
        serde_json::json!({"type": "refused", "message": "é", "code": "spent_client", "reset": true});
    assert_eq!(json, expected);
    let deleted = decode_server(&notice(&Notice::Deleted)).unwrap();
    assert_eq!(deleted, ServerFrame::Notice(serde_json::json!({"type": "deleted"})));
    let changed = decode_server(&notice(&Notice::RoleChanged { role: DesignRole::Viewer })).unwrap();
    assert_eq!(changed, ServerFrame::Notice(serde_json::json!({"type": "role.changed", "role": "viewer"})));
}

// R-REFUSE-1
#[test]
fn the_words_of_a_refusal_are_the_same_in_code_and_in_json() {
    for code in [
        RefusalCode::NotPermitted,
        RefusalCode::Gap,
        RefusalCode::TooLarge,
        RefusalCode::TooMany,
        RefusalCode::TooDeep,
        RefusalCode::Malformed,
        RefusalCode::Unsupported,
        RefusalCode::ForeignClient,
        RefusalCode::SpentClient,
        RefusalCode::RetiredClient,
        RefusalCode::Rejected,
    ] {
        assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
    }
}

fn any_client_frame() -> impl Strategy<Value = ClientFrame> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..400).prop_map(Bytes::from);
    prop_oneof![
        bytes().prop_map(|state_vector| ClientFrame::SyncStep1 { state_vector }),
        bytes().prop_map(|update| ClientFrame::SyncStep2 { update }),
        bytes().prop_map(|update| ClientFrame::Update { update }),
        bytes().prop_map(|update| ClientFrame::Awareness { update }),
        Just(ClientFrame::QueryAwareness),
        ".{0,40}".prop_map(|token| ClientFrame::Renew { token }),
        (4_u64..100).prop_map(|kind| ClientFrame::Unknown { kind }),
    ]
}

proptest! {
    #[test]
    fn client_frames_round_trip(frame in any_client_frame()) {
        prop_assert_eq!(decode(&encode_client(&frame)), Ok(frame));
    }

    #[test]
    fn decoding_is_total(bytes in proptest::collection::vec(any::<u8>(), 0..64), kind in 0_u8..4) {
        let mut led = vec![kind];
        led.extend_from_slice(&bytes);
        for message in [Bytes::from(bytes), Bytes::from(led)] {
            let _ = decode(&message);
            let _ = decode_server(&message);
        }
    }

    #[test]
    fn server_frames_round_trip(payload in proptest::collection::vec(any::<u8>(), 0..400), n in 0_u64..1 << 53) {
        let bytes = Bytes::from(payload);
        let update_frame = ServerFrame::Update { update: bytes.clone() };
        prop_assert_eq!(decode_server(&update(&bytes)), Ok(update_frame));
        let step1 = ServerFrame::SyncStep1 { state_vector: bytes.clone() };
        prop_assert_eq!(decode_server(&sync_step1(&bytes)), Ok(step1));
        let step2 = ServerFrame::SyncStep2 { update: bytes.clone() };
        prop_assert_eq!(decode_server(&sync_step2(&bytes)), Ok(step2));
        prop_assert_eq!(decode_server(&awareness(&bytes)), Ok(ServerFrame::Awareness { update: bytes }));
        prop_assert_eq!(decode_server(&saved(n)), Ok(ServerFrame::Saved(n)));
    }
}
