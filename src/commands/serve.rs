//! `serve`: the embedded endpoint on its own, for other programs.

use super::{Context, Ending};
use crate::config::DEFAULT_LOCAL_DIR;
use crate::error::{CommandError, system_words};
use crate::model::{AccountId, Region};
use crate::report::{EndpointRecord, Event, Outcome};
use crate::server::{Server, ServerOptions};
use crate::world;
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use tokio::net::TcpListener;

/// The port unless another is asked for.
const DEFAULT_PORT: u16 = 9595;

/// Run the embedded S3 endpoint for other programs, until Ctrl-C
///
/// Prints the environment variables that AWS tools need to reach it. The data is in the folder of `--local`, the same
/// that `apply --local` fills, also while this runs. Ending it with Ctrl-C is success.
///
/// With `--as` the keys are those of a role (for 12 hours) or of a user, as in `--as user/NAME`, and its policies decide every
/// request. They are files in `directory/` in the same folder: `roles/NAME.json` and `users/NAME.json` name policies, as in
/// `{"policies": ["team-a"]}`, and may have `inline`, `boundary`, `path`, `tags` and `trust`; `policies/NAME.json` is a
/// policy document, and `directory.toml` describes clusters. An edit counts from the next request on.
///
/// With `--session-policy` a role's keys are for a session that the policy in FILE limits, as one passed to AssumeRole does:
/// allowed is what both the role's policies and this one allow. It is checked now, may have 2,048 characters without white
/// space, and travels in the session token: it holds until the keys end, whatever becomes of the file.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  bucketwright serve > endpoint.env &       then: . ./endpoint.env; aws s3 ls
  bucketwright serve --local=data --port 0  any free port
  bucketwright serve --as trainer           with the keys of role `trainer`
  bucketwright serve --as trainer --session-policy team-a.json  that role, limited")]
pub struct ServeArgs {
    /// Listen on this port; 0 takes any free one
    #[arg(long, value_name = "PORT", default_value_t = DEFAULT_PORT)]
    port: u16,
    /// Listen on this address
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    host: IpAddr,
    /// Allow an address that other machines can reach: whoever has the keys can then read and write everything
    #[arg(long)]
    allow_remote: bool,
    /// Answer for this account [default: the one that directory.toml names, else 000000000000]
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
}

/// Runs the verb.
pub async fn run(args: &ServeArgs, context: &Context) -> Result<Ending, CommandError> {
    if !args.host.is_loopback() && !args.allow_remote {
        let message = format!("`{}` can be reached from other machines, over HTTP without encryption", args.host);
        return Err(
            CommandError::usage(message).hint("drop `--host`, or pass `--allow-remote` if that is what you want")
        );
    }
    if context.flags.endpoint_url.is_some() {
        return Err(CommandError::usage("`--endpoint-url` has no meaning for `serve`, which is an endpoint itself"));
    }
    let acting = context.flags.acting()?;
    let dir = context.flags.local.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_LOCAL_DIR));
    let region = context.flags.region.clone().unwrap_or_else(Region::us_east_1);
    let account = match &args.account {
        Some(account) => account.clone(),
        None => Server::account_of(&dir)?.unwrap_or_else(AccountId::local),
    };
    let server = Server::open(&dir, ServerOptions { account, region: region.clone() })?;
    let issued = world::issue(&server, acting.as_ref())?;
    let address = SocketAddr::new(args.host, args.port);
    let listener = TcpListener::bind(address).await.map_err(|error| cannot_listen(address, &error))?;
    let bound = listener.local_addr().map_err(|error| cannot_listen(address, &error))?;
    // Whoever reads the endpoint may stop it from then on, and finds it ended well.
    context.stop.begin_writing()?;
    context.ui.event(&Event::Endpoint(EndpointRecord {
        url: format!("http://{bound}"),
        access_key: issued.access_key,
        secret_key: issued.secret_key,
        session_token: issued.session_token,
        arn: issued.arn.clone(),
        expires: issued.expires_at.map(|at| at.to_string()),
        region: region.to_string(),
    }));
    if let Some(expires_at) = issued.expires_at {
        let policy = acting.as_ref().and_then(|acting| acting.session_policy.as_deref());
        let under = policy.map(|file| format!(", limited by {}", file.display())).unwrap_or_default();
        context.ui.note(&format!("keys of {} until {expires_at}{under}", issued.arn));
    }
    context.ui.note(&format!("serving {} on http://{bound}; Ctrl-C ends it", dir.display()));
    server.serve(listener, context.stop.token().cancelled_owned()).await?;
    context.ui.note("ended");
    // Being stopped is how this verb succeeds.
    Ok(Ending::answered(Outcome::Done))
}

fn cannot_listen(address: SocketAddr, error: &std::io::Error) -> CommandError {
    let failed =
        CommandError::new("listen", Outcome::Failed, format!("cannot listen on {address}: {}", system_words(error)));
    match error.kind() {
        std::io::ErrorKind::AddrInUse => failed.hint("another program has that port: pass `--port 0` for any free one"),
        std::io::ErrorKind::PermissionDenied => failed.hint("ports below 1024 need rights; choose a higher one"),
        std::io::ErrorKind::AddrNotAvailable => failed.hint("this machine has no such address"),
        _ => failed,
    }
}
