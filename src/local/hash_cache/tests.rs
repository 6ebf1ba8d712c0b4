//! The hash cache against a plain map: what is told is right, whatever happens to the file.

use super::{CachePlace, Saved, Visited};
use crate::model::{ETag, Fingerprint, PackedETag, Remembered};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::{Just, ProptestConfig, Strategy, any, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

type Known = BTreeMap<String, (Fingerprint, Remembered)>;

fn place(folder: &Path, target: &str) -> CachePlace {
    let prefix = "p/".parse().unwrap();
    CachePlace::new(folder, Path::new("/source"), target, &"bucket".parse().unwrap(), &prefix)
}

fn file(size_bytes: u64) -> Fingerprint {
    let mtime_ns = 1_700_000_000_123_456_789 - i128::from(size_bytes) * 1000;
    Fingerprint { size_bytes, mtime_ns, ctime_ns: mtime_ns + 5, device: 1, inode: size_bytes ^ 0xffff_ffff }
}

fn remembered(number: u64) -> Remembered {
    let mut md5 = [7; 16];
    md5[..8].copy_from_slice(&number.to_le_bytes());
    Remembered { etag: PackedETag::Md5(md5), crc64nvme: None, md5: Some(md5) }
}

/// `known` learned and saved; nothing is forgotten.
fn learn(place: &CachePlace, known: &Known) -> Saved {
    let spill = tempfile::tempdir().unwrap();
    let mut learner = place.learner(spill.path(), 4096);
    for (path, (file, remembered)) in known.iter().rev() {
        learner.learn(path, file, remembered);
    }
    learner.save(&Visited::nothing(), |_| true).unwrap()
}

/// All of `asked` that the cache knows.
fn look_up(place: &CachePlace, asked: &Known) -> Known {
    let mut reader = place.read();
    let mut found = Known::new();
    for (path, (file, _)) in asked {
        if let Some(remembered) = reader.lookup(path, file) {
            found.insert(path.clone(), (*file, remembered));
        }
    }
    found
}

fn numbered(numbers: impl IntoIterator<Item = u64>) -> Known {
    numbers.into_iter().map(|number| (format!("dir/{number:06}"), (file(number), remembered(number)))).collect()
}

fn some_remembered() -> impl Strategy<Value = Remembered> {
    let etag = prop_oneof![
        any::<[u8; 16]>().prop_map(PackedETag::Md5),
        (any::<[u8; 16]>(), any::<u32>()).prop_map(|(digest, count)| PackedETag::Parts(digest, count)),
        "[a-zé-]{0,40}".prop_map(|text| PackedETag::from(&ETag::new(&text))),
    ];
    (etag, any::<Option<u64>>(), any::<Option<[u8; 16]>>(), any::<bool>()).prop_map(|(etag, crc64nvme, md5, same)| {
        let md5 = match &etag {
            PackedETag::Md5(digest) if same => Some(*digest),
            _ => md5,
        };
        Remembered { etag, crc64nvme, md5 }
    })
}

fn some_file() -> impl Strategy<Value = Fingerprint> {
    // Few values, so that files differ in one thing alone.
    let time = prop_oneof![Just(0), Just(-1), Just(1), Just(i128::from(i64::MAX)), Just(i128::from(i64::MIN))];
    let number = prop_oneof![Just(0), Just(1), Just(u64::MAX)];
    (number.clone(), time.clone(), time, number).prop_map(|(size_bytes, mtime_ns, ctime_ns, inode)| Fingerprint {
        size_bytes,
        mtime_ns,
        ctime_ns,
        device: 0,
        inode,
    })
}

fn some_path() -> impl Strategy<Value = String> {
    "[ab/é]{1,4}"
}

proptest! {
    // Each save waits for the disk.
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Runs that learn, walk trees and forget, next to a map that does the same.
    #[test]
    fn a_cache_is_a_map(
        runs in vec(
            (
                btree_map(some_path(), some_file(), 0..12),
                btree_map(some_path(), (some_file(), some_remembered()), 0..12),
                btree_set(select(vec!['a', 'b', '/', 'é']), 0..4),
            ),
            1..6,
        ),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path(), "");
        let mut reference = Known::new();
        for (tree, learned, covered) in runs {
            let mut reader = place.read();
            for (path, file) in &tree {
                let expected = reference.get(path).filter(|(known, _)| known == file);
                prop_assert_eq!(reader.lookup(path, file), expected.map(|(_, remembered)| remembered.clone()));
            }
            let mut learner = place.learner(folder.path(), 64);
            for (path, (file, remembered)) in &learned {
                learner.learn(path, file, remembered);
            }
            let may_forget = |path: &str| path.chars().next().is_some_and(|first| covered.contains(&first));
            let saved = learner.save(&reader.finish(), may_forget).unwrap();
            if !learned.is_empty() {
                reference.retain(|path, _| tree.contains_key(path) || learned.contains_key(path) || !may_forget(path));
                reference.extend(learned);
                prop_assert_eq!(saved.rows, reference.len() as u64);
            }
        }
        prop_assert_eq!(look_up(&place, &reference), reference);
    }
}

#[test]
fn a_file_that_differs_in_anything_is_a_miss() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), "");
    let known = numbered([5]);
    learn(&place, &known);
    let same = file(5);
    for (changed, found) in [
        (same, true),
        (Fingerprint { device: 9, ..same }, true),
        (Fingerprint { size_bytes: 6, ..same }, false),
        (Fingerprint { mtime_ns: same.mtime_ns + 1, ..same }, false),
        (Fingerprint { ctime_ns: same.ctime_ns - 1, ..same }, false),
        (Fingerprint { inode: 1, ..same }, false),
        (Fingerprint { mtime_ns: i128::MAX, ..same }, false),
    ] {
        assert_eq!(place.read().lookup("dir/000005", &changed), found.then(|| remembered(5)), "{changed:?}");
    }
    let mut reader = place.read();
    assert_eq!(reader.lookup("dir/000006", &same), None);
    assert_eq!(reader.lookup("dir/000005", &same), None, "asked too late");
}

#[test]
fn nothing_learned_is_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), "");
    assert_eq!(learn(&place, &Known::new()), Saved::default());
    assert!(!place.path().exists());
    learn(&place, &numbered(0..3));
    let before = fs::metadata(place.path()).unwrap().ino();
    let reader = place.read();
    let saved = place.learner(folder.path(), 0).save(&reader.finish(), |_| true).unwrap();
    assert_eq!((saved.rows, fs::metadata(place.path()).unwrap().ino()), (0, before));
}

#[test]
fn only_the_user_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(&folder.path().join("deep/cache"), "");
    learn(&place, &numbered(0..3));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(place.path()), mode(place.path().parent().unwrap())), (0o600, 0o700));
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o660)).unwrap();
    assert_eq!(look_up(&place, &numbered(0..3)), Known::new(), "others could have written it");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(look_up(&place, &numbered(0..3)).len(), 3);
    let moved = place.path().with_extension("moved");
    fs::rename(place.path(), &moved).unwrap();
    symlink(&moved, place.path()).unwrap();
    assert_eq!(look_up(&place, &numbered(0..3)), Known::new(), "a link is not ours");
}

#[test]
fn each_source_and_target_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let own = place(folder.path(), "");
    let other = place(folder.path(), "http://localhost");
    assert_ne!(own.path(), other.path());
    learn(&own, &numbered(0..3));
    fs::copy(own.path(), other.path()).unwrap();
    assert_eq!(look_up(&other, &numbered(0..3)), Known::new(), "the file says whose it is");
    // The parts of an identity cannot flow into each other.
    let of = |endpoint: &str, prefix: &str| {
        let prefix = prefix.parse().unwrap();
        CachePlace::new(folder.path(), Path::new("/source"), endpoint, &"bucket".parse().unwrap(), &prefix)
    };
    assert_ne!(of("", "a/").path(), of("a/", "").path());
    let linked = folder.path().join("linked");
    symlink(folder.path(), &linked).unwrap();
    let at =
        |source: &Path| CachePlace::new(folder.path(), source, "", &"bucket".parse().unwrap(), &"".parse().unwrap());
    assert_eq!(at(&linked), at(folder.path()));
}

#[test]
fn damage_ends_the_cache_and_the_next_save_mends_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), "");
    let known = numbered(0..6);
    learn(&place, &known);
    let sound = fs::read(place.path()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(place.path()).unwrap();
    for (at, byte) in sound.iter().enumerate() {
        for flip in [1, 0x80, 0xff] {
            file.write_all_at(&[byte ^ flip], at as u64).unwrap();
            // There is one block of rows, so damage anywhere leaves none.
            assert_eq!(look_up(&place, &known), Known::new(), "{flip} at {at}");
        }
        file.write_all_at(&[*byte], at as u64).unwrap();
    }
    assert_eq!(look_up(&place, &known), known);
    for length in (0..sound.len()).rev() {
        file.set_len(length as u64).unwrap();
        assert_eq!(look_up(&place, &known), Known::new(), "cut to {length}");
    }
    learn(&place, &known);
    assert_eq!(fs::read(place.path()).unwrap(), sound);
}

#[test]
fn blocks_before_the_damage_count_and_moved_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), "");
    let known = numbered(0..10_000);
    learn(&place, &known);
    let mut bytes = fs::read(place.path()).unwrap();
    assert!(bytes.len() < 60 * 10_000, "{} bytes a row", bytes.len() / 10_000);
    let frame = |at: usize| at + 12 + u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let mut starts = vec![0];
    while *starts.last().unwrap() < bytes.len() {
        starts.push(frame(*starts.last().unwrap()));
    }
    assert!(starts.len() > 5, "several blocks: {starts:?}");
    // One block taken out: all that follow are not where they were written.
    let without: Vec<u8> = [&bytes[..starts[2]], &bytes[starts[3]..]].concat();
    fs::write(place.path(), without).unwrap();
    let found = look_up(&place, &known);
    let first_block = found.len();
    assert!(first_block > 500 && found.iter().eq(known.iter().take(first_block)), "{first_block}");
    bytes[starts[2] + 100] ^= 1;
    fs::write(place.path(), &bytes).unwrap();
    assert_eq!(look_up(&place, &known), found);
    // What was lost is learned again, and what was not is kept.
    let lost: Known = known.iter().skip(first_block).map(|(path, row)| (path.clone(), row.clone())).collect();
    assert_eq!(learn(&place, &lost).rows, 10_000);
    assert_eq!(look_up(&place, &known), known);
}

#[test]
fn two_runs_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), "");
    learn(&place, &numbered([1, 2, 3]));
    let (mut first, mut second) = (place.read(), place.read());
    let mut first_learner = place.learner(folder.path(), 1000);
    let mut second_learner = place.learner(folder.path(), 1000);
    // The first sees that 2 is gone and learns 4; the second has seen 1 alone so far.
    for number in [1, 3] {
        assert!(first.lookup(&format!("dir/{number:06}"), &file(number)).is_some());
    }
    assert!(second.lookup("dir/000001", &file(1)).is_some());
    first_learner.learn("dir/000004", &file(4), &remembered(4));
    let saved = first_learner.save(&first.finish(), |_| true).unwrap();
    assert_eq!((saved.rows, saved.learned, saved.forgotten), (3, 1, 1));
    // The second goes on with the file that it opened, where 2 still is.
    assert!(second.lookup("dir/000002", &file(2)).is_some());
    assert!(second.lookup("dir/000004", &file(4)).is_none());
    second_learner.learn("dir/000005", &file(5), &remembered(5));
    // It never met 3, but the file has been replaced meanwhile: what it did not meet it cannot forget.
    let saved = second_learner.save(&second.finish(), |_| true).unwrap();
    assert_eq!((saved.rows, saved.learned, saved.forgotten), (4, 1, 0));
    let all = numbered([1, 2, 3, 4, 5]);
    let found: BTreeSet<String> = look_up(&place, &all).into_keys().collect();
    assert_eq!(found, numbered([1, 3, 4, 5]).into_keys().collect());
}

#[test]
fn a_save_halfway_keeps_what_was_learned() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), "");
    let mut learner = place.learner(folder.path(), 1000);
    learner.learn("a", &file(1), &remembered(1));
    assert_eq!(learner.save(&Visited::nothing(), |_| true).unwrap().rows, 1);
    learner.learn("b", &file(2), &remembered(2));
    assert_eq!(learner.save(&Visited::nothing(), |_| true).unwrap().rows, 2);
}

#[test]
fn what_cannot_be_saved_is_told_once_and_leaves_the_former() {
    let folder = tempfile::tempdir().unwrap();
    let place = place(folder.path(), "");
    learn(&place, &numbered([1]));
    let mut learner = place.learner(Path::new("/absent"), 0);
    for number in 0..3 {
        learner.learn("a", &file(number), &remembered(number));
    }
    let error = learner.save(&Visited::nothing(), |_| true).unwrap_err();
    assert_eq!(error.to_string(), "cannot sort in `/absent`");
    assert_eq!(learner.save(&Visited::nothing(), |_| true).unwrap(), Saved::default());
    assert_eq!(look_up(&place, &numbered([1])).len(), 1);
}
