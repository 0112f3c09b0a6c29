//! Files that are none, that lie, or that cannot be written: what the system refuses is passed on in words.
#![cfg(target_os = "linux")]

use super::files::{directory, f32s, f64s, npy, safetensors};
use super::robustness::{finish, judge, limited, playground, words};
use std::path::Path;
use std::process::{Command, Stdio};

#[test]
fn what_is_no_file_is_refused() {
    let here = playground();
    let link = here.path().join("loop");
    std::os::unix::fs::symlink(&link, &link).unwrap();
    for (source, word) in [
        ("loop", "symbolic links"),
        ("folder", "in this directory"),
        ("empty", "empty"),
        ("/dev/zero", "device"),
        ("/dev/full", "device"),
        ("a.safetensors/x", "a.safetensors/x"),
    ] {
        let args = words(&format!("cond {source}"));
        let output = limited(here.path(), &args, 2_000_000);
        judge(&args, &output).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{source}: {stderr}");
        assert!(stderr.contains(word) && stderr.contains(source), "{stderr}");
    }
    let args = words("predict --model /dev/zero");
    let output = limited(here.path(), &args, 2_000_000);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--model"));
}

#[test]
fn names_that_are_no_text_are_refused_with_a_way_out() {
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.npy");
    let output = Command::new(env!("CARGO_BIN_EXE_isometer"))
        .arg("cond")
        .arg(name)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(
        stderr.contains(".npy") && stderr.contains("rename the file"),
        "{stderr}"
    );
    // inside a directory they are read
    let here = playground();
    let path = here.path().join("folder").join(name);
    std::fs::write(path, npy("<f8", &[1, 1], &f64s(&[2.0]))).unwrap();
    let output = limited(here.path(), &words("cond folder"), 2_000_000);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// Characters that drive a terminal or turn the direction of a line, in every layout and in what is said about them.
#[test]
fn names_of_tensors_cannot_drive_the_terminal() {
    let hostile = "w\u{202e}gnp\u{2066}\u{1b}[31m\u{7}\u{200b}\u{85}\u{2028}\r\n,=1|<script>\"";
    let nan = format!("nan{hostile}");
    let file = safetensors(&[
        (hostile, "F32", vec![2, 2], f32s(&[1.0, 2.0, 3.0, 5.0])),
        (&nan, "F32", vec![2, 2], f32s(&[1.0, f32::NAN, 3.0, 5.0])),
    ]);
    let here = directory(&[("evil.safetensors", file)]);
    let bad =
        |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{2066}\u{200b}\u{2028}".contains(c));
    for command in [
        "cond",
        "audit",
        "audit --report page.html",
        "symmetry",
        "precision",
        "product",
        "bound",
        "step clip --max-norm 1",
        "diff evil.safetensors",
        "step lars --gradients evil.safetensors",
        "cond --include zzz",
        "step descent --matrix",
    ] {
        for layout in ["table", "markdown", "csv"] {
            let args = words(&format!("{command} evil.safetensors --format {layout}"));
            let output = limited(here.path(), &args, 2_000_000);
            judge(&args, &output).unwrap();
            let stdout = String::from_utf8(output.stdout).unwrap();
            let plain = stdout.replace("\\<", "");
            assert!(
                layout != "markdown" || !plain.contains("<script>"),
                "{stdout}"
            );
            let all = stdout + &String::from_utf8(output.stderr).unwrap();
            assert!(!all.contains(bad), "{args:?}: {all:?}");
            // no line is forged
            assert!(
                !all.lines().any(|l| l.starts_with(",=1")),
                "{args:?}: {all}"
            );
        }
    }
    let page = std::fs::read_to_string(here.path().join("page.html")).unwrap();
    assert!(
        !page.contains(bad) && !page.contains("1|<script>"),
        "{page}"
    );
    // what is typed is quoted as well
    for line in [
        "cond X",
        "X",
        "audit a --fail-on X",
        "explain X",
        "gain --activation X",
        "cond evil.safetensors::X",
    ] {
        let args: Vec<String> = line.split(' ').map(|w| w.replace('X', hostile)).collect();
        let output = limited(here.path(), &args, 2_000_000);
        judge(&args, &output).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains(bad), "{line}: {stderr:?}");
    }
}

#[test]
fn a_name_of_a_megabyte_is_cut_where_people_read() {
    let (long, nan) = ("n".repeat(1_000_000), "m".repeat(1_000_000));
    let file = safetensors(&[
        (&long, "F32", vec![2, 2], f32s(&[1.0, 2.0, 3.0, 5.0])),
        (&nan, "F32", vec![2, 2], f32s(&[1.0, f32::NAN, 3.0, 5.0])),
    ]);
    let here = directory(&[("long.safetensors", file)]);
    for line in [
        "cond long.safetensors",
        "audit long.safetensors",
        "symmetry long.safetensors",
        "precision long.safetensors",
        "product long.safetensors",
        "cond long.safetensors::x",
    ] {
        let args = words(line);
        let output = limited(here.path(), &args, 2_000_000);
        judge(&args, &output).unwrap();
        let all = [output.stdout, output.stderr].concat();
        assert!(all.len() < 10_000, "{line}: {} bytes", all.len());
        assert!(
            String::from_utf8_lossy(&all).contains("more characters"),
            "{line}"
        );
    }
    // data are data
    let args = words("cond long.safetensors --format csv");
    assert!(limited(here.path(), &args, 2_000_000).stdout.len() > 1_000_000);
}

/// Every byte to a full disk fails: the code says so.
#[test]
fn a_full_disk_is_no_success() {
    let here = playground();
    for line in [
        "cond m.txt",
        "man",
        "completions bash",
        "--help",
        "cond --json nowhere",
    ] {
        let full = std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_isometer"))
            .args(words(line))
            .current_dir(here.path())
            .stdout(full)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        assert_eq!(finish(child, &line).status.code(), Some(2), "{line}");
    }
    for (line, flag, file) in [
        (
            "phase --activation tanh --resolution 4 --out full.svg",
            "--out",
            "full.svg",
        ),
        (
            "predict --depth 2 --width 4 --plot full.png",
            "--plot",
            "full.png",
        ),
        ("audit m.txt --report full.html", "--report", "full.html"),
        (
            "audit m.txt --report full.html --json",
            "--report",
            "full.html",
        ),
    ] {
        let _ = std::os::unix::fs::symlink("/dev/full", here.path().join(file));
        let args = words(line);
        let output = limited(here.path(), &args, 2_000_000);
        judge(&args, &output).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
        assert!(
            stderr.contains(flag) && stderr.contains(file),
            "{line}: {stderr}"
        );
    }
    // the device was not replaced by a file
    assert!(!std::fs::metadata("/dev/full").unwrap().is_file());
}

/// A run that the system ends while it writes leaves the old file as it was.
#[test]
fn a_killed_run_leaves_no_half_file() {
    let here = playground();
    for (line, file) in [
        (
            "phase --activation tanh --resolution 4 --out fig.svg",
            "fig.svg",
        ),
        ("audit m.txt --report page.html", "page.html"),
        ("cond m.txt --spectrum --plot sigma.png", "sigma.png"),
        ("man --out .", "isometer-cond.1"),
    ] {
        let path = here.path().join(file);
        std::fs::write(&path, "old").unwrap();
        // a file may grow to one block only; the signal for more ends the process
        let script = "ulimit -f 1; ulimit -c 0; exec \"$0\" \"$@\"";
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_isometer")])
            .args(words(line))
            .current_dir(here.path())
            .output()
            .unwrap();
        assert!(!output.status.success(), "{line}");
        assert_eq!(std::fs::read(&path).unwrap(), b"old", "{line}");
        let args = words(line);
        judge(&args, &limited(here.path(), &args, 2_000_000)).unwrap();
        assert_ne!(std::fs::read(&path).unwrap(), b"old", "{line}");
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let here = playground();
    for line in [
        "phase --activation tanh --resolution 4 --out /proc/fig.svg",
        "man --out /proc/pages",
    ] {
        let args = words(line);
        let output = limited(here.path(), &args, 2_000_000);
        judge(&args, &output).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.contains("--out") && stderr.contains("/proc/"),
            "{stderr}"
        );
    }
}

/// Tests that run as root give the child another user, whom permissions bind; `None` where that user cannot run it.
fn unprivileged(here: &Path, args: &[String]) -> Option<std::process::Output> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;
    let mut command = Command::new(env!("CARGO_BIN_EXE_isometer"));
    command.args(args).current_dir(here);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if std::fs::metadata("/proc/self").unwrap().uid() == 0 {
        std::fs::set_permissions(here, std::fs::Permissions::from_mode(0o755)).unwrap();
        command.uid(65534).gid(65534);
    }
    match command.spawn() {
        Ok(child) => Some(finish(child, &args)),
        Err(e) => {
            eprintln!("skipped: no other user can run the binary here: {e}");
            None
        }
    }
}

#[test]
fn what_may_not_be_read_or_written_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let here = playground();
    let mode = |name: &str, bits| {
        let path = here.path().join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(bits)).unwrap();
    };
    std::fs::create_dir(here.path().join("shut")).unwrap();
    std::fs::write(here.path().join("shut/m.txt"), "1 2\n3 4\n").unwrap();
    std::fs::write(here.path().join("fixed.html"), "old").unwrap();
    mode("a.safetensors", 0);
    mode("model.toml", 0);
    mode("folder", 0o555);
    mode("shut", 0);
    for (line, named) in [
        ("cond a.safetensors", "a.safetensors"),
        ("audit a.safetensors", "a.safetensors"),
        ("cond shut", "shut"),
        ("cond shut/m.txt", "shut/m.txt"),
        ("predict --model model.toml", "model.toml"),
        ("cond m.txt --spectrum --plot folder/fig.svg", "--plot"),
        (
            "phase --activation tanh --resolution 4 --out folder/fig.png",
            "--out",
        ),
        ("audit m.txt --report folder/page.html", "--report"),
        ("man --out folder/pages", "--out"),
        ("man --out folder", "--out"),
    ] {
        let args = words(line);
        let Some(output) = unprivileged(here.path(), &args) else {
            break;
        };
        judge(&args, &output).unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}: {stderr}");
        assert!(stderr.contains(named), "{line}: {stderr}");
        assert!(
            stderr.to_lowercase().contains("permission denied"),
            "{line}: {stderr}"
        );
    }
    // so that the directory can be removed
    mode("shut", 0o755);
    mode("folder", 0o755);
}

#[test]
fn empty_files_are_called_empty_whatever_their_name() {
    let here = playground();
    for extension in [
        "npy",
        "npz",
        "safetensors",
        "pt",
        "pth",
        "bin",
        "ckpt",
        "onnx",
        "gguf",
        "mtx",
        "mtx.gz",
        "txt",
        "csv",
        "h5",
        "json",
        "safetensors.index.json",
        "bin.index.json",
        "unheard-of",
    ] {
        let name = format!("zero.{extension}");
        std::fs::write(here.path().join(&name), "").unwrap();
        for command in ["cond", "audit"] {
            let args = words(&format!("{command} {name}"));
            let output = limited(here.path(), &args, 2_000_000);
            judge(&args, &output).unwrap();
            let all =
                String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            let words = format!("{name}: the file is empty; copy or download it again");
            assert!(all.contains(&words), "{args:?}: {all}");
        }
    }
}

#[test]
fn directories_with_loops_and_pipes_are_read_to_their_end() {
    let here = playground();
    let folder = here.path().join("folder");
    std::os::unix::fs::symlink("..", folder.join("up")).unwrap();
    std::os::unix::fs::symlink("self.npy", folder.join("self.npy")).unwrap();
    std::fs::copy(
        here.path().join("a.safetensors"),
        folder.join("a.safetensors"),
    )
    .unwrap();
    let made = Command::new("mkfifo").arg(folder.join("pipe.npy")).status();
    assert!(made.unwrap().success());
    let args = words("audit folder --json");
    let document = judge(&args, &limited(here.path(), &args, 2_000_000))
        .unwrap()
        .unwrap();
    assert_eq!(
        document["tensors"].as_array().unwrap().len(),
        3,
        "{document:#}"
    );
}

/// A pipe with a name waits for its other end, as it does everywhere; it is said that this is why nothing happens.
#[test]
fn a_named_pipe_is_read_and_the_wait_explained() {
    let here = playground();
    let pipe = here.path().join("pipe.txt");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let child = Command::new(env!("CARGO_BIN_EXE_isometer"))
        .args(["cond", "pipe.txt"])
        .current_dir(here.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // returns once both ends are open
    std::fs::write(&pipe, "1 2\n3 4\n").unwrap();
    let output = finish(child, &"cond pipe.txt");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    assert!(stderr.contains("pipe.txt is a pipe: waiting"), "{stderr}");
}

#[test]
fn closed_streams_are_no_crash() {
    let here = playground();
    for (script, code) in [
        ("exec \"$0\" cond - <&-", 2),
        ("exec \"$0\" cond m.txt <&- 2>&-", 0),
        ("exec \"$0\" cond missing >&- 2>&-", 2),
        ("exec \"$0\" bogus >&- 2>&-", 2),
    ] {
        let output = Command::new("sh")
            .args(["-c", script, env!("CARGO_BIN_EXE_isometer")])
            .current_dir(here.path())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{script}: {output:?}");
        assert!(
            !String::from_utf8_lossy(&output.stderr).contains("panicked"),
            "{output:?}"
        );
    }
}
