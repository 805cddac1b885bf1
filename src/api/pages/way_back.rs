//! Where somebody goes after signing in: a page of this node, whatever the address says.

/// Where those go who come from nowhere.
const HOME: &str = "/connect/authorized";
const AUTHORIZE: &str = "/connect/authorize/";
/// Bytes of a way back at most: as much as the parameters of an authorization together.
const LENGTH_MAX: usize = 8 << 10;

/// A path and query of a page of this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WayBack(String);

impl WayBack {
    /// What a form or an address says; home, where that is no page of ours. Nothing that it says leads anywhere else: it begins with our path, and has no
    /// character that a browser would read as something else.
    pub(super) fn of(text: &str) -> WayBack {
        let is_plain = text.len() <= LENGTH_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\' && byte != b'#');
        let path = text.split('?').next().unwrap_or_default();
        let is_ours = path == HOME
            || path
                .strip_prefix(AUTHORIZE)
                .is_some_and(|app| !app.is_empty() && app.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        WayBack(if is_plain && is_ours { text } else { HOME }.to_owned())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// Why somebody is to sign in.
    pub(super) fn reason(&self) -> &'static str {
        if self.0.starts_with(AUTHORIZE) {
            "An application asks to use your account. Sign in to see which one and for what."
        } else {
            "Sign in to see which applications may use your account."
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_back_leads_nowhere_but_to_pages_of_this_node() {
        for ours in [
            HOME,
            "/connect/authorized?page=PA1",
            "/connect/authorize/CN12?state=a%2F%2Fb&redirect_uri=https%3A%2F%2Fx.example",
        ] {
            assert_eq!(WayBack::of(ours).as_str(), ours);
        }
        for others in [
            "",
            "/",
            "//evil.example",
            "https://evil.example",
            "/connect/authorize//evil.example",
            "/connect/authorize/../../x",
            "/connect/authorize/",
            "/connect/sign-in",
            "/\\evil.example",
            "/connect/authorized/x",
            "/connect/authorized\n",
            "/connect/authorized?x=\r\nset-cookie:a=b",
            "/connect/authorized?\\",
            "javascript:alert(1)",
            " /connect/authorized",
            "/connect/authorize/CN1#x",
            "/docs",
        ] {
            assert_eq!(WayBack::of(others).as_str(), HOME, "{others:?}");
        }
        assert_eq!(WayBack::of(&format!("{HOME}?{}", "x".repeat(LENGTH_MAX))).as_str(), HOME);
    }
}
