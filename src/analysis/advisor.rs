//! The seam to advice from language models: rules come first, and everything works without an advisor.

use async_trait::async_trait;
use atlas_crdt::view::DesignView;

/// Advice that is appended to what the rules found; never an edit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    pub summary: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the advisor failed")]
pub struct AdvisorError(#[source] pub anyhow::Error);

#[async_trait]
pub trait Advisor: Send + Sync + 'static {
    /// `None`: this advisor has nothing to say, and never will about this view.
    async fn advise(&self, view: &DesignView) -> Result<Option<Advice>, AdvisorError>;
}

/// The advisor of a server without providers: rules only.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAdvisor;

#[async_trait]
impl Advisor for NoAdvisor {
    async fn advise(&self, _view: &DesignView) -> Result<Option<Advice>, AdvisorError> {
        Ok(None)
    }
}
