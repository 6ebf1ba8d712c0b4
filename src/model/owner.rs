//! Whose something is: what its owner tag says, held against one layout. Buckets, policies, roles and associations are told
//! apart by this and by nothing else.

use super::{LayoutId, TagKey, TagValue, Tags};

/// Whose something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner<'tags> {
    /// The layout's.
    Ours,
    /// That of the layout which the tag names.
    Other(&'tags TagValue),
    /// It carries no owner tag: this tool did not make it.
    Nobody,
}

impl<'tags> Owner<'tags> {
    /// What the tags say to the layout of this id.
    pub fn of(tags: &'tags Tags, layout: &LayoutId) -> Self {
        match tags.get(&TagKey::owner()) {
            Some(owner) if owner.as_str() == layout.as_str() => Self::Ours,
            Some(owner) => Self::Other(owner),
            None => Self::Nobody,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Owner;
    use crate::model::{LayoutId, TagKey, TagValue, Tags};

    #[test]
    fn a_tag_names_one_layout() {
        let ours: LayoutId = "ml".parse().unwrap();
        let tagged = |owner: &str| Tags::from([(TagKey::owner(), TagValue::observed(owner))]);
        assert_eq!(Owner::of(&tagged("ml"), &ours), Owner::Ours);
        for other in ["ML", "ml-2", "", "<script>"] {
            assert_eq!(Owner::of(&tagged(other), &ours), Owner::Other(&TagValue::observed(other)));
        }
        assert_eq!(Owner::of(&Tags::new(), &ours), Owner::Nobody);
    }
}
