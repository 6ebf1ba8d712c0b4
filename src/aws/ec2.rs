//! The EC2 edge: of instances, launch templates, endpoints and routes as much as decides which pods reach a role and S3.
//!
//! Five Describe calls of EC2's Query protocol. Its SDK crate takes longer to build than all others together, so the calls
//! are made here, over the SDK's own runtime: the same credentials, signatures, retries and line to the endpoint.

mod query;

use super::ServiceError;
use super::iam::part_seen as seen;
use crate::model::xml::Element;
use crate::model::{MetadataOptions, Node, NodeMaker, PolicyJson, Region, RouteTable, Seen, Tokens, VpcEndpoint};
use aws_config::SdkConfig;
use query::Query;

/// How many items a page holds: the most that all of these calls take.
const PAGE: u32 = 100;
/// The most pages that are read: more are no cluster, but an endpoint that always gives one more.
const MOST_PAGES: usize = 1_000;

/// The EC2 service as one caller sees it.
#[derive(Debug, Clone)]
pub struct Ec2 {
    query: Query,
    region: Region,
}

impl Ec2 {
    /// The service that `config` reaches, in `region`.
    pub fn new(config: &SdkConfig, region: &Region) -> Self {
        Self { query: Query::new(config, region), region: region.clone() }
    }

    /// The instances of a cluster that run or start: all that carry the tag that Kubernetes knows its nodes by.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstances.html>
    pub async fn nodes(&self, cluster: &str) -> Result<Seen<Vec<Node>>, ServiceError> {
        let tag = format!("kubernetes.io/cluster/{cluster}");
        let filters: [Filter<'_>; 2] = [("tag-key", &[&tag]), ("instance-state-name", &["pending", "running"])];
        let target = format!("cluster {cluster}");
        let pages = self.pages("DescribeInstances", &target, &filters, "reservationSet").await;
        seen(pages.map(|reservations| {
            let instances = reservations.iter().flat_map(|reservation| items(reservation, "instancesSet"));
            let mut nodes: Vec<Node> = instances.filter_map(node).collect();
            nodes.sort_by(|one, other| (&one.maker, &one.id).cmp(&(&other.maker, &other.id)));
            nodes
        }))
    }

    /// What a version of a launch template says of the metadata service. `id` is its id, or its name.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeLaunchTemplateVersions.html>
    pub async fn template_metadata(&self, id: &str, version: &str) -> Result<Seen<MetadataOptions>, ServiceError> {
        const OPERATION: &str = "DescribeLaunchTemplateVersions";
        let target = format!("launch template {id}");
        let by = if id.starts_with("lt-") { "LaunchTemplateId" } else { "LaunchTemplateName" };
        let asked = [(by.to_owned(), id.to_owned()), ("LaunchTemplateVersion.1".to_owned(), version.to_owned())];
        let answer = self.query.call(OPERATION, &target, &asked).await;
        let answer = match seen(answer)? {
            Seen::Here(answer) => answer,
            Seen::Absent => return Ok(Seen::Absent),
            Seen::Hidden(why) => return Ok(Seen::Hidden(why)),
        };
        let Some(found) = items(&answer, "launchTemplateVersionSet").next() else { return Ok(Seen::Absent) };
        let data = found.child("launchTemplateData");
        Ok(Seen::Here(data.map(metadata).unwrap_or_default()))
    }

    /// The endpoints for S3 in a VPC.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeVpcEndpoints.html>
    pub async fn s3_endpoints(&self, vpc: &str) -> Result<Seen<Vec<VpcEndpoint>>, ServiceError> {
        let filters: [Filter<'_>; 1] = [("vpc-id", &[vpc])];
        let pages = self.pages("DescribeVpcEndpoints", &format!("VPC {vpc}"), &filters, "vpcEndpointSet").await;
        // The service's name begins with the reversed domain, which differs between partitions.
        let name = format!(".{}.s3", self.region);
        let is_for_s3 = |found: &&Element| found.text_of("serviceName").is_some_and(|service| service.ends_with(&name));
        seen(pages.map(|found| found.iter().filter(is_for_s3).filter_map(endpoint).collect()))
    }

    /// The route tables of a VPC.
    ///
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeRouteTables.html>
    pub async fn route_tables(&self, vpc: &str) -> Result<Seen<Vec<RouteTable>>, ServiceError> {
        let filters: [Filter<'_>; 1] = [("vpc-id", &[vpc])];
        let pages = self.pages("DescribeRouteTables", &format!("VPC {vpc}"), &filters, "routeTableSet").await;
        seen(pages.map(|found| found.iter().filter_map(route_table).collect()))
    }

    /// All items of a list, page by page.
    async fn pages(
        &self,
        operation: &'static str,
        target: &str,
        filters: &[Filter<'_>],
        list: &str,
    ) -> Result<Vec<Element>, ServiceError> {
        let mut asked = vec![("MaxResults".to_owned(), PAGE.to_string())];
        for (index, (name, values)) in filters.iter().enumerate() {
            let filter = index + 1;
            asked.push((format!("Filter.{filter}.Name"), (*name).to_owned()));
            let values = values.iter().enumerate();
            asked.extend(values.map(|(at, value)| (format!("Filter.{filter}.Value.{}", at + 1), (*value).to_owned())));
        }
        let (mut found, first) = (Vec::new(), asked.len());
        for _ in 0..MOST_PAGES {
            let mut answer = self.query.call(operation, target, &asked).await?;
            let token = answer.text_of("nextToken").filter(|token| !token.is_empty()).map(str::to_owned);
            let lists = answer.children.iter_mut().filter(|child| child.name == list);
            found.extend(lists.flat_map(|list| std::mem::take(&mut list.children)));
            let Some(token) = token else { return Ok(found) };
            asked.truncate(first);
            asked.push(("NextToken".to_owned(), token));
        }
        Err(ServiceError::unexpected(operation, target, format!("the list has more than {MOST_PAGES} pages")))
    }
}

/// A filter's name and the values that pass it.
type Filter<'text> = (&'text str, &'text [&'text str]);

/// The items of a list in an answer.
fn items<'answer>(within: &'answer Element, list: &str) -> impl Iterator<Item = &'answer Element> {
    within.child(list).into_iter().flat_map(|list| list.all("item"))
}

fn owned(within: &Element, name: &str) -> Option<String> {
    within.text_of(name).filter(|text| !text.is_empty()).map(str::to_owned)
}

fn node(found: &Element) -> Option<Node> {
    let tag = |wanted: &str| {
        let tag = items(found, "tagSet").find(|tag| tag.text_of("key") == Some(wanted))?;
        tag.text_of("value").map(str::to_owned)
    };
    let profile = found.child("iamInstanceProfile").and_then(|profile| owned(profile, "arn"));
    Some(Node {
        id: owned(found, "instanceId")?,
        maker: maker(&tag),
        profile: profile.and_then(|arn| arn.rsplit('/').next().map(str::to_owned)),
        subnet: owned(found, "subnetId"),
        vpc: owned(found, "vpcId"),
        metadata: metadata(found),
    })
}

/// Who made a node, by the tags that each of them writes.
///
/// Sources: <https://docs.aws.amazon.com/eks/latest/userguide/auto-learn-iam.html>,
/// <https://karpenter.sh/docs/concepts/nodeclasses/#spectags>
fn maker(tag: &dyn Fn(&str) -> Option<String>) -> NodeMaker {
    if let Some(group) = tag("eks:nodegroup-name") {
        return NodeMaker::Managed(group);
    }
    if let Some(pool) = tag("eks:kubernetes-node-pool-name") {
        return NodeMaker::AutoMode(pool);
    }
    match tag("karpenter.sh/nodepool").or_else(|| tag("karpenter.sh/provisioner-name")) {
        Some(pool) => NodeMaker::Karpenter(pool),
        None => NodeMaker::SelfManaged(tag("aws:autoscaling:groupName").unwrap_or_default()),
    }
}

/// `metadataOptions` of an instance or of a launch template.
fn metadata(within: &Element) -> MetadataOptions {
    let Some(options) = within.child("metadataOptions") else { return MetadataOptions::default() };
    MetadataOptions {
        hop_limit: options.text_of("httpPutResponseHopLimit").and_then(|limit| limit.parse().ok()),
        tokens: match options.text_of("httpTokens") {
            Some("required") => Some(Tokens::Required),
            Some("optional") => Some(Tokens::Optional),
            _ => None,
        },
        enabled: match options.text_of("httpEndpoint") {
            Some("enabled") => Some(true),
            Some("disabled") => Some(false),
            _ => None,
        },
    }
}

fn endpoint(found: &Element) -> Option<VpcEndpoint> {
    let tables = items(found, "routeTableIdSet").map(|table| table.text.trim().to_owned());
    Some(VpcEndpoint {
        id: owned(found, "vpcEndpointId")?,
        kind: owned(found, "vpcEndpointType").unwrap_or_else(|| "Gateway".to_owned()),
        state: owned(found, "state").unwrap_or_default(),
        route_tables: tables.collect(),
        policy: owned(found, "policyDocument").map(PolicyJson),
    })
}

fn route_table(found: &Element) -> Option<RouteTable> {
    let associations = || items(found, "associationSet");
    let to_everywhere = |route: &&Element| {
        route.text_of("destinationCidrBlock") == Some("0.0.0.0/0")
            || route.text_of("destinationIpv6CidrBlock") == Some("::/0")
    };
    let through = [
        "natGatewayId",
        "gatewayId",
        "transitGatewayId",
        "instanceId",
        "networkInterfaceId",
        "egressOnlyInternetGatewayId",
        "coreNetworkArn",
        "carrierGatewayId",
        "localGatewayId",
        "vpcPeeringConnectionId",
    ];
    let mut open = items(found, "routeSet").filter(to_everywhere);
    Some(RouteTable {
        id: owned(found, "routeTableId")?,
        is_main: associations().any(|one| one.text_of("main") == Some("true")),
        subnets: associations().filter_map(|one| owned(one, "subnetId")).collect(),
        way_out: open.find_map(|route| through.iter().find_map(|name| owned(route, name))),
    })
}

#[cfg(test)]
mod tests {
    use super::{Element, MetadataOptions, NodeMaker, Tokens, endpoint, node, route_table};

    fn parse(text: &str) -> Element {
        Element::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn an_instance_tells_its_maker_its_profile_and_how_its_metadata_answers() {
        let text = "<item><instanceId>i-1</instanceId><subnetId>subnet-1</subnetId><tagSet><item><key>Name</key>\
            <value>x</value></item><item><key>TAG</key><value>VALUE</value></item></tagSet><iamInstanceProfile>\
            <arn>arn:aws:iam::1:instance-profile/eks/eks-0a</arn></iamInstanceProfile><metadataOptions>\
            <state>applied</state><httpTokens>required</httpTokens><httpPutResponseHopLimit>2</httpPutResponseHopLimit>\
            <httpEndpoint>enabled</httpEndpoint></metadataOptions></item>";
        for (tag, maker) in [
            ("eks:nodegroup-name", NodeMaker::Managed("VALUE".to_owned())),
            ("eks:kubernetes-node-pool-name", NodeMaker::AutoMode("VALUE".to_owned())),
            ("karpenter.sh/nodepool", NodeMaker::Karpenter("VALUE".to_owned())),
            ("aws:autoscaling:groupName", NodeMaker::SelfManaged("VALUE".to_owned())),
            ("team", NodeMaker::SelfManaged(String::new())),
        ] {
            assert_eq!(node(&parse(&text.replace("TAG", tag))).unwrap().maker, maker, "{tag}");
        }
        let found = node(&parse(text)).unwrap();
        assert_eq!((found.id.as_str(), found.profile.as_deref()), ("i-1", Some("eks-0a")));
        let answers = MetadataOptions { hop_limit: Some(2), tokens: Some(Tokens::Required), enabled: Some(true) };
        assert_eq!(found.metadata, answers);
        let silent = node(&parse("<item><instanceId>i-2</instanceId></item>")).unwrap();
        assert_eq!((silent.metadata, silent.profile), (MetadataOptions::default(), None));
    }

    #[test]
    fn endpoints_and_route_tables_name_each_other() {
        let found = endpoint(&parse(
            "<item><vpcEndpointId>vpce-1</vpcEndpointId><vpcEndpointType>Gateway</vpcEndpointType><state>available</state>\
             <routeTableIdSet><item>rtb-1</item><item>rtb-2</item></routeTableIdSet>\
             <policyDocument>{&quot;Statement&quot;:[]}</policyDocument></item>",
        ))
        .unwrap();
        assert_eq!(found.route_tables, ["rtb-1", "rtb-2"]);
        assert_eq!(found.policy.as_ref().unwrap().0, "{\"Statement\":[]}");
        assert!(found.is_gateway_in_use());
        let found = route_table(&parse(
            "<item><routeTableId>rtb-1</routeTableId><routeSet><item><destinationCidrBlock>10.0.0.0/16</destinationCidrBlock>\
             <gatewayId>local</gatewayId></item><item><destinationCidrBlock>0.0.0.0/0</destinationCidrBlock>\
             <natGatewayId>nat-1</natGatewayId></item></routeSet><associationSet><item><main>true</main></item>\
             <item><subnetId>subnet-2</subnetId><main>false</main></item></associationSet></item>",
        ))
        .unwrap();
        assert_eq!(
            (found.is_main, found.subnets, found.way_out.as_deref()),
            (true, vec!["subnet-2".to_owned()], Some("nat-1"))
        );
        for (route, way_out) in [
            (
                "<destinationIpv6CidrBlock>::/0</destinationIpv6CidrBlock><egressOnlyInternetGatewayId>eigw-1</egressOnlyInternetGatewayId>",
                Some("eigw-1"),
            ),
            (
                "<destinationCidrBlock>0.0.0.0/0</destinationCidrBlock><coreNetworkArn>arn:core</coreNetworkArn>",
                Some("arn:core"),
            ),
            ("<destinationCidrBlock>10.0.0.0/8</destinationCidrBlock><transitGatewayId>tgw-1</transitGatewayId>", None),
        ] {
            let text =
                format!("<item><routeTableId>rtb-1</routeTableId><routeSet><item>{route}</item></routeSet></item>");
            assert_eq!(route_table(&parse(&text)).unwrap().way_out.as_deref(), way_out, "{route}");
        }
    }
}
