use proptest::prelude::*;

use super::*;

fn key() -> SealKey {
    SealKey::new("k", &[7; 32])
}

fn chain(contents: &[String]) -> (Vec<ChainRow>, Head) {
    let mut head = Head::default();
    let rows = contents
        .iter()
        .map(|content| {
            let mut row = ChainRow { action: content.clone(), details: "{}".into(), count: 1, ..ChainRow::default() };
            head.link(&mut row, &key());
            row
        })
        .collect();
    (rows, head)
}

fn judge(rows: &[ChainRow], noted: &Head) -> Result<(), Fault> {
    let mut verifier = Verifier::new(key());
    rows.iter().try_for_each(|row| verifier.row(row))?;
    verifier.end(Some((noted, &key().seal(HEAD, &noted.text()))))
}

/// Links rows anew with right hashes and whatever seals somebody without the key can make.
fn rewrite(rows: &mut [ChainRow], from: usize) {
    let stranger = SealKey::new("k", &[8; 32]);
    let mut head = match from {
        0 => Head::default(),
        from => Head { sequence: rows[from - 1].sequence, hash: rows[from - 1].hash.clone() },
    };
    for row in &mut rows[from..] {
        head.link(row, &stranger);
    }
}

fn contents() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec(".{0,12}", 2..12)
}

proptest! {
    #[test]
    fn an_untouched_chain_is_right(contents in contents()) {
        let (rows, head) = chain(&contents);
        prop_assert_eq!(judge(&rows, &head), Ok(()));
    }

    #[test]
    fn an_edited_row_is_named(contents in contents(), pick in any::<prop::sample::Index>(), field in 0..5_usize) {
        let (mut rows, head) = chain(&contents);
        let at = pick.index(rows.len());
        let row = &mut rows[at];
        match field {
            0 => row.action.push('x'),
            1 => row.at += 1,
            2 => row.hash = row.hash.replace(['0', 'a'], "1"),
            3 => row.previous_hash.push('x'),
            _ => row.seal.push('x'),
        }
        prop_assume!(rows[at] != chain(&contents).0[at]);
        prop_assert_eq!(judge(&rows, &head).unwrap_err().sequence, Some(at as u64 + 1));
    }

    #[test]
    fn a_missing_row_is_named(contents in contents(), pick in any::<prop::sample::Index>()) {
        let (mut rows, head) = chain(&contents);
        let at = pick.index(rows.len());
        rows.remove(at);
        let fault = judge(&rows, &head).unwrap_err();
        prop_assert_eq!((fault.sequence, fault.fault), (Some(at as u64 + 1), Wrong::Missing));
    }

    #[test]
    fn a_cut_tail_is_named(contents in contents(), pick in any::<prop::sample::Index>()) {
        let (mut rows, head) = chain(&contents);
        let kept = pick.index(rows.len());
        rows.truncate(kept);
        let fault = judge(&rows, &head).unwrap_err();
        prop_assert_eq!((fault.sequence, fault.fault), (Some(kept as u64 + 1), Wrong::Missing));
    }

    #[test]
    fn swapped_rows_are_named(
        contents in contents(),
        pick in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let (mut rows, head) = chain(&contents);
        let (a, b) = (pick.0.index(rows.len()), pick.1.index(rows.len()));
        prop_assume!(a != b);
        rows.swap(a, b);
        let (of_a, of_b) = (rows[a].sequence, rows[b].sequence);
        (rows[a].sequence, rows[b].sequence) = (of_b, of_a);
        prop_assert_eq!(judge(&rows, &head).unwrap_err().sequence, Some(a.min(b) as u64 + 1));
    }

    #[test]
    fn a_rewritten_suffix_is_named(contents in contents(), pick in any::<prop::sample::Index>()) {
        let (mut rows, _) = chain(&contents);
        let from = pick.index(rows.len());
        rows[from].action.push('x');
        rewrite(&mut rows, from);
        let last = rows.last().unwrap();
        let head = Head { sequence: last.sequence, hash: last.hash.clone() };
        let fault = judge(&rows, &head).unwrap_err();
        prop_assert_eq!((fault.sequence, fault.fault), (Some(from as u64 + 1), Wrong::Forged));
    }

    #[test]
    fn a_forged_row_at_the_end_is_named(contents in contents()) {
        let (mut rows, head) = chain(&contents);
        rows.push(ChainRow { sequence: rows.len() as u64 + 1, ..rows[0].clone() });
        let from = rows.len() - 1;
        rewrite(&mut rows, from);
        let fault = judge(&rows, &head).unwrap_err();
        prop_assert_eq!((fault.sequence, fault.fault), (Some(from as u64 + 1), Wrong::Forged));
    }
}

#[test]
fn the_end_is_sealed_too() {
    let (rows, head) = chain(&["a".into(), "b".into()]);
    let mut verifier = Verifier::new(key());
    rows.iter().try_for_each(|row| verifier.row(row)).unwrap();
    assert_eq!(verifier.end(None).unwrap_err().fault, Wrong::Head);
    assert_eq!(verifier.end(Some((&head, "k:00"))).unwrap_err().fault, Wrong::Head);
    assert_eq!(Verifier::new(key()).end(None), Ok(()));
}
