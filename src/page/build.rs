//! Build script: make one compressed document of the page's HTML, CSS and JavaScript, and its content security policy.

fn main() {
    #[cfg(feature = "page")]
    document::make();
}

#[cfg(feature = "page")]
mod document {
    use std::io::Write as _;
    use std::path::{Path, PathBuf};
    use std::{env, fs};

    use base64ct::{Base64, Encoding as _};
    use flate2::{Compression, GzBuilder};

    /// Places of the style and of the script in page.html.
    const STYLE: &str = "<style></style>";
    const SCRIPT: &str = "<script></script>";

    pub(super) fn make() {
        let folder = Path::new(&env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it")).join("src/page");
        let [html, css, js] = ["page.html", "page.css", "page.js"].map(|name| {
            println!("cargo:rerun-if-changed={}", folder.join(name).display());
            fs::read_to_string(folder.join(name)).expect(name)
        });
        let [style, script] = [css, js].map(|text| format!("\n{text}"));
        assert!(
            html.matches(STYLE).count() == 1 && html.matches(SCRIPT).count() == 1,
            "page.html has no place for these"
        );
        let document = html
            .replace(STYLE, &format!("<style>{style}</style>"))
            .replace(SCRIPT, &format!("<script>{script}</script>"));
        let policy = format!(
            "default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; img-src data:; connect-src 'self'; \
             form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
            hash(&script),
            hash(&style)
        );
        let into = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
        // Without a time or a name, so that the same sources give the same bytes.
        let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
        gzip.write_all(document.as_bytes()).expect("memory");
        fs::write(into.join("page.html.gz"), gzip.finish().expect("memory")).expect("OUT_DIR is writable");
        fs::write(into.join("policy"), policy).expect("OUT_DIR is writable");
    }

    fn hash(text: &str) -> String {
        Base64::encode_string(&hmac_sha256::Hash::hash(text.as_bytes()))
    }
}
