//! How S3 is reached from the cluster's subnets: by a gateway in their route tables, through whatever leads out, or not.
//!
//! Source: <https://docs.aws.amazon.com/vpc/latest/privatelink/vpc-endpoints-s3.html>

use crate::model::{Cluster, ClusterSurvey, PolicyJson, RouteTable, Seen, VpcEndpoint};
use crate::policy::diff::{Side, edits};
use crate::policy::{Document, Policy};
use crate::report::{Finding, Severity, StatementRecord, VpcEndpointRecord};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The cluster's subnets and what their route tables lead to.
pub(super) struct Network<'seen> {
    cluster: &'seen Cluster,
    survey: &'seen ClusterSurvey,
    subnets: BTreeSet<&'seen str>,
}

impl<'seen> Network<'seen> {
    /// The subnets of the cluster, of its node groups, and of its nodes.
    pub(super) fn of(cluster: &'seen Cluster, survey: &'seen ClusterSurvey) -> Self {
        let given = survey.subnets.iter().chain(survey.groups.values().flat_map(|group| &group.subnets));
        let lived_in = survey.nodes.here().into_iter().flatten().filter_map(|node| node.subnet.as_ref());
        Self { cluster, survey, subnets: given.chain(lived_in).map(String::as_str).collect() }
    }

    fn endpoints(&self) -> &'seen [VpcEndpoint] {
        self.survey.endpoints.here().map_or(&[], Vec::as_slice)
    }

    /// The route table of a subnet: its own, or the VPC's main one. None if the tables may not be read.
    fn table_of(&self, subnet: &str) -> Option<&'seen RouteTable> {
        let tables = self.survey.route_tables.here()?;
        let own = tables.iter().find(|table| table.subnets.iter().any(|one| one == subnet));
        own.or_else(|| tables.iter().find(|table| table.is_main))
    }

    /// The endpoints as they are shown.
    pub(super) fn records(&self) -> Vec<VpcEndpointRecord> {
        self.endpoints().iter().map(|endpoint| self.record(endpoint)).collect()
    }

    fn record(&self, endpoint: &VpcEndpoint) -> VpcEndpointRecord {
        let is_gateway = endpoint.kind.eq_ignore_ascii_case("gateway");
        let led_to =
            |subnet: &&&str| self.table_of(subnet).is_some_and(|table| endpoint.route_tables.contains(&table.id));
        let seen = self.subnets.iter().filter(|subnet| is_gateway && self.table_of(subnet).is_some());
        let (reached, missing): (Vec<&&str>, Vec<&&str>) = seen.partition(|subnet| led_to(subnet));
        let names = |subnets: Vec<&&str>| subnets.into_iter().map(|subnet| (*subnet).to_owned()).collect();
        let policy = endpoint.policy.as_ref();
        let is_open = policy.map(lets_everything_through);
        VpcEndpointRecord {
            cluster: self.cluster.name.clone(),
            id: endpoint.id.clone(),
            kind: endpoint.kind.to_ascii_lowercase(),
            state: endpoint.state.clone(),
            route_tables: endpoint.route_tables.clone(),
            subnets: names(reached),
            missing: names(missing),
            policy: match is_open {
                Some(true) => "everything",
                Some(false) => "own",
                None => "unknown",
            },
            statements: policy.filter(|_| is_open == Some(false)).map(statements).unwrap_or_default(),
        }
    }

    /// Subnets from which traffic to S3 leaves the VPC, or has no way at all.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let (Seen::Here(endpoints), Seen::Here(_)) = (&self.survey.endpoints, &self.survey.route_tables) else {
            return Vec::new();
        };
        let Some(vpc) = &self.survey.vpc else { return Vec::new() };
        let gateways: Vec<&VpcEndpoint> = endpoints.iter().filter(|one| one.is_gateway_in_use()).collect();
        // Names in the VPC may lead to an interface endpoint; from here that cannot be told.
        let has_interface = endpoints.iter().any(|one| !one.kind.eq_ignore_ascii_case("gateway"));
        let (mut out, mut stuck, mut beside) = (Vec::new(), Vec::new(), BTreeSet::new());
        for subnet in &self.subnets {
            let Some(table) = self.table_of(subnet) else { continue };
            if gateways.iter().any(|gateway| gateway.route_tables.contains(&table.id)) {
                continue;
            }
            beside.insert(table.id.as_str());
            match &table.way_out {
                Some(way) => out.push(format!("{subnet} ({}, {way})", table.id)),
                None => stuck.push(format!("{subnet} ({})", table.id)),
            }
        }
        let command = self.command(vpc, gateways.first().copied(), &beside);
        let mut findings = Vec::new();
        if !stuck.is_empty() && !has_interface {
            let message = format!("no way to S3 is in the route tables of {}", stuck.join(", "));
            findings.push(
                Finding::new("no-way-to-s3", Severity::Warning, vpc, message)
                    .with_fix(format!("lead these route tables to a gateway endpoint for S3: `{command}`")),
            );
        }
        if !out.is_empty() {
            let message = match gateways.first() {
                Some(gateway) => format!(
                    "traffic to S3 goes around gateway {} from {}, at the price of a NAT gateway where there is one",
                    gateway.id,
                    out.join(", ")
                ),
                None => format!(
                    "the VPC has no gateway endpoint for S3: from {} traffic leaves it, at the price of a NAT gateway \
                     where there is one",
                    out.join(", ")
                ),
            };
            findings.push(
                Finding::new("no-s3-gateway", Severity::Suggestion, vpc, message)
                    .with_fix(format!("a gateway endpoint for S3 costs nothing: `{command}`")),
            );
        }
        findings
    }

    /// What makes a gateway of all route tables that lead to none, or adds them to the one that is there.
    fn command(&self, vpc: &str, gateway: Option<&VpcEndpoint>, tables: &BTreeSet<&str>) -> String {
        let region = self.cluster.arn.region();
        let tables = tables.iter().copied().collect::<Vec<_>>().join(" ");
        match gateway {
            Some(gateway) => format!(
                "aws ec2 modify-vpc-endpoint --region {region} --vpc-endpoint-id {} --add-route-table-ids {tables}",
                gateway.id
            ),
            None => format!(
                "aws ec2 create-vpc-endpoint --region {region} --vpc-id {vpc} --service-name \
                 com.amazonaws.{region}.s3 --route-table-ids {tables}"
            ),
        }
    }
}

/// True for the policy that AWS writes where nobody gives one.
fn lets_everything_through(policy: &PolicyJson) -> bool {
    let Ok(document) = serde_json::from_str::<Value>(&policy.0) else { return false };
    let statements = match &document["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        one => std::slice::from_ref(one),
    };
    let all = |value: &Value| value == "*" || *value == serde_json::json!(["*"]);
    let [only] = statements else { return false };
    only["Effect"] == "Allow"
        && all(&only["Action"])
        && all(&only["Resource"])
        && (all(&only["Principal"]) || all(&only["Principal"]["AWS"]))
        && only.get("Condition").is_none()
}

/// An endpoint's policy as the evaluator takes it; none for what is no policy.
pub(super) fn parsed(endpoint: &VpcEndpoint) -> Option<Arc<Policy>> {
    let document = Document::parse(&endpoint.policy.as_ref()?.0).ok()?;
    Some(Arc::new(Policy { name: format!("the policy of {}", endpoint.id), document }))
}

fn statements(policy: &PolicyJson) -> Vec<StatementRecord> {
    let Ok(document) = Document::parse(&policy.0) else { return Vec::new() };
    let side = Side { policies: vec![Arc::new(Policy { name: "endpoint".to_owned(), document })] };
    let said = edits(&Side::default(), &side).into_iter();
    said.map(|edit| StatementRecord { statement: edit.statement, detail: edit.detail }).collect()
}

#[cfg(test)]
mod tests {
    use super::lets_everything_through;
    use crate::model::PolicyJson;

    #[test]
    fn only_awss_own_policy_lets_everything_through() {
        let statement = r#""Effect":"Allow","Principal":"*","Action":"*","Resource":"*""#;
        for (text, open) in [
            (format!(r#"{{"Version":"2008-10-17","Statement":[{{{statement}}}]}}"#), true),
            (
                format!(
                    r#"{{"Statement":{{{}}}}}"#,
                    statement.replace(r#""*","Action":"*""#, r#"{"AWS":"*"},"Action":["*"]"#)
                ),
                true,
            ),
            (format!(r#"{{"Statement":[{{{statement}}},{{"Effect":"Deny"}}]}}"#), false),
            (format!(r#"{{"Statement":[{{{statement},"Condition":{{}}}}]}}"#), false),
            (
                format!(
                    r#"{{"Statement":[{{{}}}]}}"#,
                    statement.replace(r#""Action":"*""#, r#""Action":"s3:GetObject""#)
                ),
                false,
            ),
            ("nonsense".to_owned(), false),
        ] {
            assert_eq!(lets_everything_through(&PolicyJson(text.clone())), open, "{text}");
        }
    }
}
