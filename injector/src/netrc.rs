//! Reads netrc files: who logs in where.

use crate::sys::fetch::Login;

/// The logins of a netrc file, in its order
/// (<https://www.gnu.org/software/inetutils/manual/html_node/The-_002enetrc-file.html>).
pub(crate) fn logins(text: &str) -> Vec<Login> {
    let mut logins = Vec::<Login>::new();
    let mut words = words(text).into_iter();
    while let Some(word) = words.next() {
        match word.to_ascii_lowercase().as_str() {
            "machine" => logins.push(Login { machine: words.next(), ..Login::default() }),
            "default" => logins.push(Login::default()),
            word @ ("login" | "password" | "account") => {
                if logins.is_empty() {
                    // For no machine, and a secret all the same.
                    logins.push(Login { machine: Some(String::new()), ..Login::default() });
                }
                let value = words.next();
                match (word, logins.last_mut()) {
                    ("login", Some(login)) => login.user = value,
                    ("password", Some(login)) => login.password = value,
                    _ => {}
                }
            }
            _ => {}
        }
    }
    logins
}

/// Its words: between blanks, or in double quotes with backslashes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let mut rest = line.trim_start();
        while !rest.is_empty() {
            let (word, after) = match rest.strip_prefix('"') {
                Some(quoted) => quoted_word(quoted),
                None => rest
                    .split_once(char::is_whitespace)
                    .map_or_else(|| (rest.to_owned(), ""), |(word, after)| (word.to_owned(), after)),
            };
            words.push(word);
            rest = after.trim_start();
        }
    }
    words
}

/// A quoted word whose first quote has been read, and what follows it.
fn quoted_word(text: &str) -> (String, &str) {
    let mut word = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => break,
            '\\' => word.extend(characters.next()),
            other => word.push(other),
        }
    }
    (word, characters.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_machine_has_its_login() {
        let text = "# machine of nobody\nmachine a login me password one\nmachine b\n  password \"t w\\\"o\"\n\
                    \tlogin you account default\n default login any password three";
        let login = |machine: Option<&str>, user: &str, password: &str| Login {
            machine: machine.map(str::to_owned),
            user: Some(user.to_owned()),
            password: Some(password.to_owned()),
        };
        let expected =
            [login(Some("a"), "me", "one"), login(Some("b"), "you", "t w\"o"), login(None, "any", "three")];
        assert!(logins(text) == expected, "{:?}", logins(text));
    }

    #[test]
    fn what_is_cut_off_or_for_no_machine_logs_in_nowhere() {
        assert!(logins("").is_empty());
        let [nobodys] = &logins("login me password one")[..] else { panic!("one login") };
        assert_eq!((nobodys.machine.as_deref(), nobodys.password.as_deref()), (Some(""), Some("one")));
        let [login] = &logins("machine a login")[..] else { panic!("one login") };
        assert_eq!((login.machine.as_deref(), login.user.as_deref()), (Some("a"), None));
    }
}
