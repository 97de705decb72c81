//! What a node is, by the exact word in its `data.type`: the palette and the older catalogue of Koh Atlas, what importers
//! make, the technologies of Threagile, the elements of Threat Dragon, and the services of the three large clouds.
//!
//! Words stand here as `atlas_crdt::view::kinds::type_key` makes them: lower case, joined by `-`, and without the name of a
//! provider in front. The same words are `KNOWN_TYPES` there, since the label of a node belongs to what rules see exactly
//! when its type does not. Types that say too little (`cloud`, `service`, `appliance`, `application`, `security`, `network`,
//! `worker`, `custom`) are left out on purpose: their label says more.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::analysis::model::Kind;

/// The kind of a type, by its key.
#[must_use]
pub fn of_type(key: &str) -> Option<Kind> {
    static KINDS: LazyLock<HashMap<&'static str, Kind>> = LazyLock::new(|| {
        TYPES.iter().flat_map(|(kind, words)| words.split_whitespace().map(|word| (word, *kind))).collect()
    });
    KINDS.get(key).copied()
}

/// All types that are known, each once.
pub const TYPES: &[(Kind, &str)] = &[
    (
        Kind::Client,
        "actor browser client client-system desktop desktop-app device devops-client end-user
         external-user internet internet-alt2 iot-device mobile mobile-app mobile-client spa tm-actor
         user users web-browser web-client",
    ),
    (
        Kind::Cdn,
        "cdn cdn-profile cloud-cdn cloudflare cloudfront content-delivery-network edge-cdn front-door
         frontdoor global-accelerator",
    ),
    (Kind::Dns, "cloud-dns dns edge-dns private-dns route-53 route53"),
    (Kind::Ddos, "anti-ddos ddos ddos-protection shield shield-advanced"),
    (Kind::Waf, "cloud-armor waf web-app-firewall web-application-firewall"),
    (
        Kind::Firewall,
        "azure-firewall cloud-firewall firewall fw network-acl network-firewall next-gen-firewall
         ngfw",
    ),
    (Kind::Ids, "cloud-ids edr guardduty ids ids-ips intrusion-detection ips nids xdr"),
    (Kind::Dam, "dam data-loss-prevention database-activity-monitoring database-firewall dlp macie"),
    (
        Kind::Bastion,
        "bastion bastion-host client-vpn cloud-vpn direct-connect expressroute interconnect jump-box
         jump-host jumpbox sd-wan session-manager site-to-site-vpn vpn vpn-gateway zero-trust ztna",
    ),
    (
        Kind::Nat,
        "cloud-nat egress-gateway egress-proxy forward-proxy nat nat-gateway outbound-proxy
         squid-proxy",
    ),
    (
        Kind::LoadBalancer,
        "alb application-load-balancer classic-load-balancer cloud-load-balancing
         elastic-load-balancing elb gclb global-load-balancer haproxy ingress ingress-controller
         load-balancer load-balancer-global load-balancer-internal loadbalancer network-load-balancer
         nginx nlb reverse-proxy traffic-manager",
    ),
    (
        Kind::Gateway,
        "api-gateway api-management apigateway apigee apim app-gateway application-gateway appsync
         cloud-endpoints gateway kong service-mesh",
    ),
    (
        Kind::Web,
        "amplify cms firebase-hosting frontend static-site static-web-app static-web-apps web web-app
         web-application web-frontend web-server webserver",
    ),
    (
        Kind::Compute,
        "app-engine app-runner app-server app-service application-server backend batch
         batch-processing beanstalk cloud-function cloud-functions cloud-run compute compute-engine
         container container-instance container-instances container-service data-factory databricks
         dataflow dataproc docker ec2 ecs ecs-service ejb elastic-beanstalk emr erp event-listener
         fargate function functions gce glue lambda lambda-function lightsail logic-apps mail-server
         mainframe microservice report-engine scheduler server serverless service-registry
         step-functions stream-processing task tm-process virtual-machine virtual-machines vm vmss
         web-service-rest web-service-soap workflows",
    ),
    (
        Kind::Kubernetes,
        "aks container-platform eks gke k8s k8s-cluster kubernetes kubernetes-cluster
         kubernetes-service openshift",
    ),
    (
        Kind::Database,
        "alloydb aurora big-data-platform big-query bigquery bigtable cassandra cloud-spanner
         cloud-sql cosmos cosmos-db cosmosdb data-lake data-warehouse database datastore db
         documentdb dynamodb elasticsearch firestore identity-store-database mariadb mongodb mssql
         mysql neptune nosql opensearch oracle postgres postgresql rds redshift search-engine
         search-index snowflake spanner sql-database sql-server sqldb synapse timestream tm-store
         vector-database",
    ),
    (Kind::Cache, "azure-cache cache elasticache memcached memorydb memorystore redis redis-cache"),
    (
        Kind::Queue,
        "active-mq activemq amazon-mq cloud-tasks event-bus event-grid event-hub event-hubs
         eventbridge kafka kinesis message-broker message-bus message-queue mq msk nats pub-sub
         pubsub queue rabbitmq service-bus sns sqs",
    ),
    (
        Kind::ObjectStore,
        "artifact-storage backup backup-storage backup-vault blob blob-storage block-storage bucket
         cloud-storage ebs efs file-server file-storage fsx gcs glacier object-storage object-store
         persistent-disk s3 s3-bucket storage storage-account storage-bucket",
    ),
    (
        Kind::Secret,
        "acm ca certificate certificate-authority certificate-manager cloud-hsm cloud-kms cloudhsm
         hashicorp-vault hsm key-management key-vault keyvault kms pki private-ca secret-manager
         secrets secrets-manager vault",
    ),
    (
        Kind::Identity,
        "active-directory auth auth-service auth0 cloud-iam cloud-identity cognito directory-service
         entra-id iam iap identity identity-platform identity-provider identity-store-ldap idp
         keycloak ldap ldap-server microsoft-entra-id okta sso",
    ),
    (
        Kind::Monitor,
        "application-insights audit cloud-audit-logs cloud-logging cloud-monitoring cloud-trace
         cloudtrail cloudwatch cloudwatch-2 datadog defender defender-for-cloud elk grafana
         log-analytics logging logging-service monitor monitoring monitoring-service prometheus
         security-center security-command-center security-hub sentinel siem soc splunk",
    ),
    (
        Kind::Cicd,
        "build-pipeline ci-cd ci-cd-pipeline cicd cloud-build codebuild codedeploy codepipeline
         devops github-actions gitlab-ci jenkins pipeline sourcecode-repository",
    ),
    (
        Kind::Registry,
        "acr artifact-registry code-inspection-platform container-registry ecr gcr image-registry
         image-scanner registry",
    ),
    (
        Kind::Llm,
        "ai anthropic azure-openai bedrock chatgpt claude external-api gemini language-model llm
         openai openai-service third-party-api third-party-service vertex-ai",
    ),
    (
        Kind::Boundary,
        "network-segmentation network-zone subnet tm-boundary tm-boundary-box trust-boundary vnet vpc
         vpc-vnet",
    ),
];
