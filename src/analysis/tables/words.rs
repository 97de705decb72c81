//! What a node is, by the words of its label. Read only where its type is in no table.

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::analysis::model::Kind;

/// Words of the longest phrase.
const WORDS_MAX: usize = 4;

/// The kind that a label tells. What stands before a `(`, `[` or `:` counts before what stands behind; the longest phrase
/// counts, of equally long ones the last, as in "Kafka monitoring". Words for people only count as the last word ("mobile
/// users", but not "user service"), and words that fit many kinds only where nothing else does.
#[must_use]
pub fn of_label(label: &str) -> Option<Kind> {
    static PHRASES: LazyLock<HashMap<String, Kind>> = LazyLock::new(|| table(SPECIFIC));
    static PEOPLE: LazyLock<HashMap<String, Kind>> = LazyLock::new(|| table(LAST));
    static VAGUE: LazyLock<HashMap<String, Kind>> = LazyLock::new(|| table(GENERIC));
    let label = label.to_lowercase();
    let parts: Vec<Vec<&str>> = label
        .split(['(', '[', ':'])
        .map(|part| part.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect())
        .collect();
    parts
        .iter()
        .find_map(|words| {
            longest(words, &PHRASES).or_else(|| longest(&words[words.len().saturating_sub(1)..], &PEOPLE))
        })
        .or_else(|| parts.iter().find_map(|words| longest(words, &VAGUE)))
}

fn table(table: &[(Kind, &'static str)]) -> HashMap<String, Kind> {
    let phrases = |phrases: &'static str| {
        phrases.split(',').map(|phrase| phrase.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    table.iter().flat_map(|(kind, all)| phrases(all).map(|phrase| (phrase, *kind))).collect()
}

fn longest(words: &[&str], phrases: &HashMap<String, Kind>) -> Option<Kind> {
    (1..=WORDS_MAX.min(words.len())).rev().find_map(|length| {
        words.windows(length).rev().find_map(|window| {
            let phrase = window.join(" ");
            phrases.get(phrase.as_str()).or_else(|| phrases.get(phrase.strip_suffix('s')?)).copied()
        })
    })
}

/// Phrases in lower case, separated by commas, each once. A plural is found by its singular.
pub const SPECIFIC: &[(Kind, &str)] = &[
    (
        Kind::Client,
        "android app, browser, desktop app, end user, external user, ios app, iot device, mobile app, mobile client, pwa, react frontend pwa, remote user, single page app, spa, user agent, web browser, web client",
    ),
    (
        Kind::Cdn,
        "akamai, azure front door, cdn, cloud cdn, cloudflare, cloudfront, content delivery network,
        edge cache, fastly, front door, global accelerator",
    ),
    (Kind::Dns, "azure dns, cloud dns, dns, name server, nameserver, resolver, route 53, route53"),
    (Kind::Ddos, "anti ddos, ddos, ddos protection, scrubbing center, shield, shield advanced"),
    (Kind::Waf, "aws waf, cloud armor, modsecurity, waf, web app firewall, web application firewall"),
    (
        Kind::Firewall,
        "azure firewall, cloud firewall, firewall, fortigate, fortinet, internal firewall,
        network acl, network firewall, next generation firewall, ngfw, packet filter, palo alto,
        pfsense, security group",
    ),
    (
        Kind::Ids,
        "edr, guardduty, ids, intrusion detection, intrusion detection system, intrusion prevention,
        intrusion prevention system, ips, ndr, snort, suricata, threat detection, xdr",
    ),
    (
        Kind::Dam,
        "activity monitoring, cloud dlp, cloud dlp api, dam, data loss prevention,
        database activity monitor, database activity monitoring, database firewall, dlp, dlp api,
        guardium, imperva, macie, sensitive data protection",
    ),
    (
        Kind::Bastion,
        "bastion, bastion host, direct connect, expressroute, jump box, jump host, jump server,
        jumpbox, remote access gateway, sd wan, session manager, tailscale, teleport, vpn,
        vpn gateway, vpn server, wireguard, zero trust access, zero trust gateway, ztna",
    ),
    (
        Kind::Nat,
        "cloud nat, egress gateway, egress proxy, forward proxy, nat, nat gateway, outbound proxy,
        squid, squid proxy, web proxy",
    ),
    (
        Kind::LoadBalancer,
        "alb, application load balancer, cloud load balancing, elastic load balancer,
        elastic load balancing, elb, envoy, f5, gslb, ha proxy, haproxy, ingress,
        ingress controller, lb, load balancer, load balancing, loadbalancer, nginx, nlb, proxy,
        reverse proxy, traefik, traffic manager",
    ),
    (
        Kind::Gateway,
        "api gateway, api management, apigee, app gateway, application gateway, backend for frontend,
        bff, cloud endpoints, gateway, graphql gateway, istio, kong, service mesh, tyk",
    ),
    (
        Kind::Web,
        "admin panel, admin portal, apache, cms, drupal, front end, frontend, landing page, portal,
        site, static site, storefront, web app, web application, web frontend, web portal,
        web server, web shop, web site, web tier, web ui, webapp, webserver, webshop, website,
        wordpress",
    ),
    (
        Kind::Compute,
        "airflow, api, api server, app engine, app server, app service, application server, back end,
        backend, background job, background worker, batch, beanstalk, business logic,
        cloud function, cloud run, compute engine, consumer, container, cron, docker, ec2, ecs, etl,
        fargate, function, graphql api, job, job runner, kafka consumer, lambda, lambda function,
        mail server, microservice, processor, queue consumer, queue worker, rest api, scheduler,
        serverless, smtp server, spark, vault api, virtual machine, vm, worker",
    ),
    (
        Kind::Kubernetes,
        "aks, eks, gke, k8s, kubernetes, kubernetes cluster, nomad, openshift, private cluster,
        rancher",
    ),
    (
        Kind::Database,
        "alloydb, aurora, azure sql, bigquery, bigtable, cassandra, clickhouse, cloud spanner,
        cloud sql, cockroachdb, cosmos db, cosmosdb, couchdb, data lake, data mart, data store,
        data warehouse, database, datastore, db, documentdb, dynamodb, elasticsearch, firestore,
        influxdb, mariadb, mongo, mongodb, ms sql, mssql, mysql, neo4j, neptune, opensearch, oracle,
        oracle database, pinecone, postgre, postgres, postgresq, postgresql, postgressql,
        primary db, rds, record, redshift, replica db, snowflake, solr, spanner, sql, sql server,
        sqlite, timescaledb, vector database, vector store, weaviate",
    ),
    (
        Kind::Cache,
        "cache, elasticache, hazelcast, memcache, memcached, memorydb, memorystore, redis,
        redis cache, redis cluster, session cache, session store, valkey, varnish",
    ),
    (
        Kind::Queue,
        "activemq, amazon sqs, bullmq, cloud pub sub, cloud task, event bus, event grid, event hub,
        event queue, event stream, eventbridge, job queue, kafka, kinesis, message broker,
        message bus, message queue, mq, msk, nats, pub sub, pubsub, pulsar, queue, rabbitmq,
        redis queue, service bus, sns, sqs, task queue, topic",
    ),
    (
        Kind::ObjectStore,
        "archive, azure blob, backup, blob, blob storage, block storage, bucket, ceph, cloud storage,
        ebs, efs, file server, file share, file storage, file store, file upload, gcs, glacier,
        media store, minio, nas, nfs, object storage, object store, s3, s3 bucket, s3 storage,
        storage, storage account, storage bucket",
    ),
    (
        Kind::Secret,
        "acm, ca, cert manager, certificate authority, certificate authority service,
        certificate manager, cloud kms, conjur, cyberark, encryption key, hashicorp vault, hsm,
        key management, key management service, key store, key vault, keystore, kms,
        parameter store, pki, secret, secret manager, secret store, secrets manager, vault",
    ),
    (
        Kind::Identity,
        "active directory, auth, auth api, auth server, auth service, auth0, authentication,
        authentication server, authentication service, authorization server, authorization service,
        azure ad, cloud iam, cloud identity, cognito, directory service, entra id, iam, iap,
        identity, identity api, identity aware proxy, identity platform, identity provider, identity service, idp,
        keycloak, ldap, ldap server, login, login service, oauth server, oidc, oidc provider, okta,
        openid provider, sso, user directory",
    ),
    (
        Kind::Monitor,
        "alerting, alertmanager, application insight, audit, audit log, audit logging, azure monitor,
        cloud logging, cloud monitoring, cloudtrail, cloudwatch, datadog, defender for cloud, elk,
        elk stack, fluentd, grafana, jaeger, log aggregator, log analytics, log collector,
        log server, log storage, logging, logs, logstash, loki, monitor, monitoring,
        monitoring stack, nagios, new relic, observability, opentelemetry, pagerduty, prometheus,
        security center, security command center, security command center premium, security hub,
        security operation center, sentinel, sentry, siem, soc, splunk, syslog, syslog server,
        telemetry, wazuh, zabbix",
    ),
    (
        Kind::Cicd,
        "argo cd, argocd, azure devops, azure pipeline, bitbucket, build pipeline, build server, ci,
        ci cd, ci cd pipeline, cicd, circleci, cloud build, codebuild, codedeploy, codepipeline,
        deployment pipeline, git repository, github, github action, gitlab, gitlab ci, jenkins,
        pipeline, source code repository, terraform",
    ),
    (
        Kind::Registry,
        "acr, artifact registry, artifactory, container registry, docker hub, docker registry, ecr,
        gcr, harbor, image registry, image scanner, nexus, registry, snyk, trivy,
        vulnerability scanner",
    ),
    (
        Kind::Llm,
        "ai model, anthropic, anthropic api, azure openai, bedrock, chatgpt, claude, claude api,
        external api, external payment, external service, foundation model, gemini, gemini api, gpt,
        language model, large language model, llm, llm api, mistral, ollama, openai, openai api,
        partner api, payment gateway, payment provider, paypal, saas, sendgrid, stripe, third party,
        third party api, third party service, twilio, vertex ai",
    ),
    (
        Kind::Boundary,
        "availability zone, corp network, dmz, internal network, internet, local network, namespace,
        network segment, network zone, office network, on prem, on premise, private network,
        private subnet, production network, public internet, public subnet, resource group,
        shared vpc, subnet, trust boundary, virtual network, vlan, vnet, vpc",
    ),
    // They pass everything on, and protect from nothing.
    (Kind::Unknown, "internet gateway, router, switch, transit gateway, virtual private gateway"),
];

/// Words that count only as the last of a label, or of what stands before its `(`.
pub const LAST: &[(Kind, &str)] = &[(
    Kind::Client,
    "anonymous, attacker, client, customer, device, laptop, mobile, partner, phone, smartphone, tablet, user, visitor, workstation",
)];

/// Words that count only where none of [`SPECIFIC`] stands in the label.
pub const GENERIC: &[(Kind, &str)] =
    &[(Kind::Web, "ui, web"), (Kind::Compute, "app, application, engine, instance, module, server, service")];
