//! The commands that start a node of this installation.

use crate::console::page::Page;
use crate::console::view::nodes::NodeCommand;

/// Where nodes reach the control plane.
struct Endpoint {
    host: String,
    port: String,
    tls: bool,
}

/// The address by which the browser reaches this page, or `control_plane.public_url`.
fn endpoint(page: &Page) -> Endpoint {
    let (scheme, rest) = page.origin.split_once("://").unwrap_or(("https", &page.origin));
    let tls = scheme == "https";
    // A bare IPv6 address is in brackets: a colon within them is none before a port.
    let port = rest.rsplit_once(':').filter(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    let (host, port) = port.unwrap_or((rest, if tls { "443" } else { "80" }));
    Endpoint { host: host.to_owned(), port: port.to_owned(), tls }
}

/// One command for each way of installation, with `token`.
pub fn commands(page: &Page, token: &str) -> Vec<NodeCommand> {
    let Endpoint { host, port, tls } = endpoint(page);
    let version = env!("CARGO_PKG_VERSION");
    let docker = format!(
        "docker run -d --name weir-node --restart unless-stopped -p 5000:5000 -v weir-node:/var/lib/weir \\\n  \
         -e WALLARM_API_HOST={host} -e WALLARM_API_PORT={port} -e WALLARM_API_USE_SSL={tls} \\\n  \
         -e WALLARM_API_TOKEN={token} weir:{version} processing"
    );
    let helm = format!(
        "helm upgrade --install weir-node weir/weir --version {version} -n weir --create-namespace \\\n  \
         --set config.api.host={host} --set config.api.port={port} --set config.api.use_ssl={tls} \\\n  \
         --set config.api.token={token}"
    );
    let use_ssl = if tls { "" } else { " --set api.use_ssl=false" };
    let binary =
        format!("weir processing --set api.host={host} --set api.port={port}{use_ssl} \\\n  --set api.token={token}");
    [("docker", "Docker", docker), ("helm", "Helm", helm), ("binary", "Binary", binary)]
        .map(|(code, label, text)| NodeCommand { code, label, text })
        .into()
}
