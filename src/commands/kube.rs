//! How verbs reach a cluster's API server: two flags, and a word on whom they ask.

use super::{Context, announced};
use crate::error::CommandError;
use crate::kubernetes::{Api, Way};
use clap::Args;
use std::fmt::Write as _;
use std::path::PathBuf;

/// Which API server is asked.
#[derive(Debug, Clone, Default, Args)]
pub struct KubeArgs {
    /// Ask the API server of this kubeconfig [default: KUBECONFIG, ~/.kube/config, or the pod's own account]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Ask that of this context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub kube_context: Option<String>,
}

impl KubeArgs {
    /// Connects, and says to what.
    pub(super) async fn connect(&self, context: &Context) -> Result<Api, CommandError> {
        let way = Way { kubeconfig: self.kubeconfig.clone(), context: self.kube_context.clone() };
        let connected = Api::connect(&way, &context.environment);
        let api = announced("getting credentials for the API server", connected, context).await?;
        context.ui.note(&format!("asking {}", api.place()));
        Ok(api)
    }

    /// True if one of the flags was typed.
    pub(super) const fn is_given(&self) -> bool {
        self.kubeconfig.is_some() || self.kube_context.is_some()
    }

    /// The start of a kubectl command that asks the same API server.
    pub(super) fn kubectl(&self) -> String {
        let mut words = "kubectl".to_owned();
        if let Some(file) = &self.kubeconfig {
            _ = write!(words, " --kubeconfig {}", file.display());
        }
        if let Some(name) = &self.kube_context {
            _ = write!(words, " --context {name}");
        }
        words
    }
}
