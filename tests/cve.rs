//! The virtual patches: the exploit of each known vulnerability of the index is blocked by the rule that the index names,
//! and requests of legitimate users of the same products pass.

use std::collections::HashSet;
use std::sync::OnceLock;
use weir_core::engine::proof::deciding_rules;
use weir_core::ruleset::{CveEntry, Ruleset, builtin, compile};

/// Attack type of the virtual patches.
const CLASS: &str = "cve";
/// Known vulnerabilities that the index covers at least.
const FEWEST: usize = 700;

fn ruleset() -> &'static Ruleset {
    static RULESET: OnceLock<Ruleset> = OnceLock::new();
    RULESET.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

#[test]
fn every_exploit_is_blocked_by_the_rule_that_the_index_names() {
    let mut wrong = Vec::new();
    for entry in &ruleset().cve_index {
        let rules = deciding_rules(entry, ruleset());
        if !rules.contains(&entry.by) {
            wrong.push(format!("{} ({}): {} does not decide, but {rules:?}", entry.cve, entry.product, entry.by));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_index_has_each_vulnerability_of_a_rule_and_each_rule_a_proof() {
    let index = &ruleset().cve_index;
    let numbers: HashSet<&str> = index.iter().map(|entry| entry.cve.as_str()).collect();
    assert!(numbers.len() >= FEWEST, "only {}", numbers.len());
    let pairs: HashSet<_> = index.iter().map(|entry| (&entry.cve, &entry.by)).collect();
    assert_eq!(pairs.len(), index.len(), "an entry is there twice");
    let proven: HashSet<&str> = index.iter().map(|entry| entry.by.as_str()).collect();
    let patches = ruleset().signatures.iter().filter(|signature| signature.attack.code() == CLASS);
    let mut wrong = Vec::new();
    for doc in patches.map(|signature| &signature.doc) {
        if doc.product.is_empty() || doc.cve.is_empty() || doc.references.is_empty() {
            wrong.push(format!("{} lacks `product`, `cve` or `references`", doc.id));
        }
        if !proven.contains(doc.id.as_str()) {
            wrong.push(format!("{} has no entry `covers` with a request", doc.id));
        }
        let missing = doc.cve.iter().filter(|cve| !numbers.contains(cve.as_str()));
        wrong.extend(missing.map(|cve| format!("{} names {cve}, which has no entry `covers`", doc.id)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What legitimate clients send to the same products: request line, further headers and body.
const LEGITIMATE: &[(&str, &str, &str)] = &[
    ("GET /shop/index.php?s=shoes", "X-Requested-With: XMLHttpRequest", ""),
    (
        "POST /ws_utc/resources/setting/options",
        "Content-Type: application/x-www-form-urlencoded",
        "setting_id=general&BasicConfigOptions.workDir=%2Fsrv%2Fdomain%2Fservers%2Fmain%2Ftmp%2Fclient",
    ),
    ("GET /wp-admin/admin-post.php?action=export&swp_url=https%3A%2F%2Fexample.com%2F", "", ""),
    ("GET /index.php?q=/modules/Students/student_view.php", "", ""),
    ("GET /tools/index.php?file=./gibbon.sql", "", ""),
    ("GET /scheduler/ui/js/ffffffffbca41eb4/UIUtilJavaScriptJS?v=2", "", ""),
    (
        "POST /cgi-bin/file_transfer.cgi",
        "Content-Type: application/x-www-form-urlencoded",
        "file_transfer=new&dir=slides",
    ),
    ("GET /admingui/serverTasksGeneral", "", ""),
    ("GET /admingui/version", "", ""),
    (
        "POST /wp-admin/admin-ajax.php",
        "Content-Type: application/x-www-form-urlencoded",
        "action=mk_file_folder_manager&cmd=open&target=l1_Lw",
    ),
    ("GET /cf_scripts/scripts/ajax/ckeditor/plugins/filemanager/upload.cfm", "Accept: text/html", ""),
    ("POST /moveitisapi/moveitisapi.dll?action=m2", "X-siLock-Transaction: folder_add_by_path", ""),
    ("POST /getcfg.php", "Content-Type: application/x-www-form-urlencoded", "SERVICES=DEVICE.LAYOUT"),
    ("GET /dashboard", "X-Nextjs-Data: 1", ""),
    ("PUT /files/report.pdf", "Content-Range: bytes 0-99/200", "%PDF"),
    ("POST /users/password", "Content-Type: application/x-www-form-urlencoded", "user%5Bemail%5D=jane%40example.com"),
    ("POST /wp-json/post-smtp/v1/connect-app", "Auth-Key: 4f2a9c", ""),
    (
        "POST /api/v1/node-load-method/customMCP",
        "x-request-from: internal",
        r#"{"inputs":{"mcpServerConfig":{"command":"npx","args":["-y","a"]}},"loadMethod":"listActions"}"#,
    ),
    ("GET /getcfg.php?a=b", "", ""),
    ("GET /api/v1/apikey?next=/api/v1/ping", "Authorization: Bearer 4f2a", ""),
    (
        "POST /classes/common/busiFacade.php",
        "",
        "{\"name\":\"ping\",\"serviceName\":\"SysManager\",\"param\":[\"ping 192.0.2.1\"]}",
    ),
    ("POST /cgi-bin/backup/hbs_mgnt.cgi", "", "{\"act\":\"list\",\"sid\":\"4f2a9b\"}"),
    ("POST /getcfg.php", "Content-Type: application/x-www-form-urlencoded", "SERVICES=DEVICE.TIME"),
    ("GET /h/rest?id=4&javax.faces.ViewState=a", "", ""),
    ("GET /netmri/common/SetRawCookie.tdf?name=a&value=b", "Authorization: Basic YTpi", ""),
    ("GET /rpc/log_getfile", "", ""),
    ("GET /solr/books/replication?command=details", "", ""),
    (
        "POST /geoserver/TestWfsPost",
        "Cookie: JSESSIONID=4F2A",
        "form_hf_0=&url=http://app.example.com/geoserver/wfs&body=",
    ),
    ("PATCH /redfish/v1/SessionService/ResetPassword/1/", "X-Auth-Token: 4f2a", r#"{"Password":"Abcdef12"}"#),
    ("POST /kubepi/api/v1/systems/login/logs/search?pageNum=1", "Cookie: SESS=4f2a", "{}"),
    ("POST /services/accesstoken/verify", "", "token=4f2a"),
    ("GET /api/v1/users/login;a=b", "", ""),
    ("POST /cgi-bin/quick/quick.cgi?func=switch_os&todo=uploaf_firmware_image", "X-A: b", "file=a.img"),
    ("POST /WebInterface/function/?command=getUsername", "as2-to: partner", "c2f=abcd"),
    ("POST /wp-json/wc-hippoo/v1/ext/wp/v2/users/1", "Authorization: Bearer 4f2a", r#"{"nickname":"jane"}"#),
    ("GET /mifs/c/appstore/fob/3/5/sha256:kid=1,st=1770000000,et=1770000600,h=4f2a/b.ipa", "", ""),
    ("POST /cli?remoting=false", "Side: upload", "\0\0\0\x06\0\0\x04help\0\0\0\0\x03"),
    ("GET /qrs/app?filter=name%20eq%20'font'", "X-Qlik-Xrfkey: 0123456789abcdef", ""),
    ("POST /tmui/login.jsp", "Content-Type: application/x-www-form-urlencoded", "username=jane&passwd=HTTP%2F1.1"),
    ("POST /ui/h5-vsan/rest/proxy/service/a.b/c", "Cookie: VSPHERE-UI-JSESSIONID=4F2A", r#"{"methodInput":[]}"#),
    ("GET /ecp/default.aspx", "Cookie: cadata=4f2a; OutlookSession=1", ""),
    ("POST /OA_HTML/configurator/UiServlet", "Content-Type: application/x-www-form-urlencoded", "getUiType=Applet"),
    ("POST /api/v1/settings/sysadmin/connect-to-hub", "Authorization: Bearer 4f2a", r#"{"hubAddress":"https://b"}"#),
    ("GET /helpdesk/WebObjects/Helpdesk.woa/wo/a.wo/b/1.0?wopage=LoginPref", "", ""),
    ("GET /albatross/saml/idpSelection?id=4f2a", "", ""),
    ("GET /nonauth/guestConfirm.cs?dest=aHR0cHM6Ly9hLmV4YW1wbGUv", "", ""),
    ("POST /loginok.html", "Cookie: UID=4f2a9c1b7e304f2a9c1b7e304f2a9c1b", "username=jane&password=a"),
    ("GET /api/items", "Connection: keep-alive, Upgrade, HTTP2-Settings", ""),
    (
        "POST /wp-admin/admin-ajax.php",
        "Content-Type: application/x-www-form-urlencoded",
        "action=acfe/form/submit&form%5Bname%5D=a",
    ),
    (
        "POST /jane/index.php?module=filemanager&acc=changePerm",
        "Content-Type: application/x-www-form-urlencoded",
        "fileName=a.txt&currentPath=/home/jane&t_total=755",
    ),
    ("GET /login.action?os_destination=%2Findex.action", "", ""),
    ("GET /oauth/idp/.well-known/openid-configuration", "", ""),
    ("POST /p/u/doAuthentication.do", "", "login=jane&passwd=secret&StateContext="),
    ("GET /mgmt/tm/sys/version", "X-F5-Auth-Token: 4BQXFW2LJ6CTSNWYWIOQHFHQGI", ""),
    ("GET /mgmt/tm/ltm/pool", "Connection: keep-alive", ""),
    ("GET /api/v2/cmdb/system/status", "Forwarded: for=203.0.113.7;proto=https", ""),
    ("GET /service-worker.js", "", ""),
    ("GET /app/rest/server", "Accept: application/json", ""),
    ("GET /minio/health/live", "", ""),
    ("GET /_layouts/15/ToolPane.aspx?DisplayMode=Edit", "Referer: https://app.example.com/sites/a/home.aspx", ""),
    ("GET /autodiscover/autodiscover.json?Email=jane%40example.com&Protocol=ActiveSync&RedirectCount=1", "", ""),
    ("GET /autodiscover/autodiscover.json/v1.0/jane%40example.com?Protocol=Autodiscoverv1", "", ""),
    ("GET /SetupWizard.aspx", "", ""),
    ("GET /CFIDE/administrator/index.cfm", "", ""),
    ("POST /webtools/control/main", "", "USERNAME=jane&PASSWORD=secret"),
    ("GET /console/console.portal?_nfpb=true&_pageLabel=HomePage1", "", ""),
    ("GET /descriptorByName/hudson.model.Item/checkName?value=a", "", ""),
    ("GET /app/javax.faces.resource/dynamiccontent.properties.xhtml?ln=primefaces&pfdrid=1a2b&pfdrt=sc", "", ""),
    ("POST /rest/V1/guest-carts/1/estimate-shipping-methods", "", r#"{"address":{"city":"Bonn","session":"a"}}"#),
    (
        "POST /rest/tinymce/1/macro/preview",
        "",
        r#"{"macro":{"name":"widget","params":{"url":"https://video.example/v"}}}"#,
    ),
    ("GET /dashboard/snapshot/aXz81Kq", "", ""),
    ("GET /zabbix/index_sso.php", "Cookie: zbx_session=eyJzZXNzaW9uaWQiOiIxMiIsInNpZ24iOiI5OWFiIn0=", ""),
    ("POST /api/v1/jobs", "", r#"{"variables":{"PHPRC":"/etc/php","LD_PRELOAD":"/lib/a.so"},"on sale":true}"#),
    ("GET /api/v1/articles?public=true", "", ""),
    ("GET /shop/admin", "X-Original-URL: https://app.example.com/shop/admin", ""),
    ("POST /apisix/batch-requests", "", r#"{"pipeline":[{"method":"GET","path":"/orders/1"}]}"#),
    ("POST /druid/indexer/v1/sampler", "", r#"{"type":"kafka","spec":{"ioConfig":{"consumerProperties":{"a":"b"}}}}"#),
    ("GET /webtools/control/main?externalLoginKey=1", "", ""),
    (
        "POST /?rest_route=/reallysimplessl/v1/two_fa/skip_onboarding",
        "Cookie: wordpress_logged_in_4f2a=jane",
        r#"{"user_id":7,"login_nonce":"4f2a"}"#,
    ),
    ("GET /bin/get/Main/SolrSearch?media=rss&text=release%20notes%20%7B%7Bgroovy%7D%7D", "", ""),
    (
        "POST /CMSPages/Staging/SyncServer.asmx",
        "",
        "<UsernameToken><Username>a</Username><Password>b</Password></UsernameToken>",
    ),
    ("GET /goanywhere/license/Unlicensed.xhtml", "", ""),
    ("GET /?search=report%20%7B2025%7D", "", ""),
    ("GET /storage/filesvr.dn?t=aGVsbG8td29ybGQ", "", ""),
    ("POST /service/extension/backup/mboximport?account-name=jane", "Cookie: ZM_ADMIN_AUTH_TOKEN=0_4f2a", ""),
    ("GET /+CSCOE+/logon.html", "", ""),
    ("POST /open-url", "", r#"{"url":"https://reactnative.example/docs"}"#),
    ("GET /api/orders", "Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJqYW5lIn0.c2lnbmF0dXJl", ""),
    ("GET /nacos/v1/cs/configs?dataId=a&group=b&accessToken=c", "User-Agent: Nacos-Java-Client:v2.3.2", ""),
    ("GET /rest/v1/systems", "Connection: keep-alive", ""),
    ("POST /api/operations/ciscosb-file:form-file-upload", "Authorization: Basic YTpi", ""),
    ("GET /cslu/v1/product_instances", "", ""),
    (
        "POST /wp-admin/admin-ajax.php",
        "Cookie: wordpress_logged_in_4f2a=jane%7C1",
        "action=add_member&role=administrator",
    ),
    ("POST /api/jolokia/", "", r#"{"type":"read","mbean":"java.lang:type=Memory"}"#),
    ("GET /system/deviceInfo?auth=bWVpbjoxMjM0", "", ""),
    ("POST /RPC2_Login", "", r#"{"method":"global.login","params":{"clientType":"Web3.0","userName":"a"}}"#),
    ("GET /apisix/admin/migrate/export", "Authorization: Bearer a.b.c", ""),
    ("GET /apisix/admin/routes", "X-API-KEY: 4f2a9c", ""),
    ("GET /wp-content/uploads/2026/11/report.pdf", "", ""),
    ("GET /bonita/API/system/i18ntranslation?f=locale%3den", "", ""),
    ("GET /proxy/coordinator/druid/coordinator/v1/leader", "", ""),
    ("GET /json_data/get_status?lev=2", "", ""),
    ("POST /api/v1/validate/code", "", r#"{"code":"def add(a=1, b=2):\n    return a + b"}"#),
    ("POST /wp-json/ymc/v1/posts/filter", "", r#"{"params":{"filter_id":1,"post_status":"publish"}}"#),
    ("GET /?__wpdmxp=1842", "", ""),
    ("GET /solr/admin/info/key", "", ""),
    ("POST /api/pull", "", r#"{"name":"llama3:8b","insecure":true}"#),
    ("GET /access/list", "Authorization: Basic YmFsOnBhc3M=", ""),
    ("POST /api/v1/auth/force-reset-password", "", r#"{"Username":"jane","OldPassword":"a","NewPassword":"b"}"#),
    ("GET /superset/welcome", "Cookie: session=eyJfZnJlc2giOnRydWUsIl9pZCI6IjEiLCJfdXNlcl9pZCI6IjEifQ.ZKFnng.abc", ""),
    ("POST /api/users", "", r#"{"username":"jane","has_admin_role":false,"password":"Abcdef12"}"#),
    ("POST /webhook/orders", "", r#"{"files":[{"name":"a.txt","url":"https://files.example.com/a.txt"}]}"#),
    ("GET /OA_HTML/AppsLocalLogin.jsp", "", ""),
    ("GET /dashboardUser", "X-Access-Token: eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJ1c2VyTmFtZSI6ImphbmUifQ.c2ln", ""),
    (
        "POST /wp-json/sure-triggers/v1/connection/create-wp-connection",
        "",
        r#"{"sure-triggers-access-key":"a","wp-password":"abcd EFGH ijkl MNOP qrst UVWX","wp-username":"jane"}"#,
    ),
    ("GET /kylin/api/admin/config", "Authorization: Basic YTpi", ""),
    ("GET /kylin/api/admin/config", "X-Auth-Token: 4f2a", ""),
    ("GET /api/settings/values?keys=sonar.core.id", "X-Sonar-Session: 4f2a", ""),
    ("GET /secure/ViewUserHover.jspa?username=jane", "X-Api-Key: 4f2a", ""),
    ("GET /api/v1/clusters/kubeconfig/k8s", "PRIVATE-TOKEN: 4f2a", ""),
    ("GET /api/v1/clusters/kubeconfig/k8s", "Cookie: session=4f2a", ""),
    ("GET /v1/folder?path=%2FDATA", "Authorization: a.b.c", ""),
    ("GET /api/settings/values?keys=sonar.core.id", "Authorization: Bearer squ_4f2a", ""),
    ("POST /userportal/Controller?mode=451&json={%22username%22:%22jane%22}", "", ""),
    ("POST /solr/books/config", "", r#"{"set-property":{"updateHandler.autoCommit.maxTime":15000}}"#),
    ("GET /secure/QueryComponent!Default.jspa", "Cookie: JSESSIONID=4F2A; atlassian.xsrf.token=B1", ""),
    ("GET /rest/api/latest/groupuserpicker?query=jane", "Authorization: Bearer a", ""),
    ("PUT /_users/org.couchdb.user:jane", "", r#"{"type":"user","name":"jane","roles":[],"password":"x"}"#),
    (
        "POST /wp-admin/admin-ajax.php",
        "Content-Type: application/x-www-form-urlencoded\nCookie: wordpress_logged_in_4f2a=jane",
        "action=get_elementor_template_content&templateID=7",
    ),
    ("GET /wp-json/acf/v3/options/options", "Authorization: Basic YTpi", ""),
    ("POST /wp-json/metform/v1/entries/insert/7", "Content-Type: application/x-www-form-urlencoded", "name=jane"),
    ("POST /wp-login.php?action=lostpassword", "Content-Type: application/x-www-form-urlencoded", "user_login=jane"),
    (
        "POST /",
        "Content-Type: application/x-www-form-urlencoded",
        "wpvivid_action=send_to_site&wpvivid_content=MTAwYWJjZGVmZ2hpag",
    ),
    ("GET /wp-content/uploads/2026/11/report.pdf", "", ""),
    ("GET /wp-content/debug.log", "Cookie: wordpress_logged_in_4f2a=jane", ""),
    (
        "POST /wp-admin/admin-ajax.php",
        "Content-Type: application/x-www-form-urlencoded",
        "action=qsm_remove_file_fd_question&file_url=/var/www/html/wp-content/uploads/quiz/a.png",
    ),
    ("GET /elfinder/php/connector.minimal.php?cmd=open&target=l1_ZG9jcy9yZXBvcnRz", "", ""),
    ("GET /docpicker/index.html", "", ""),
    ("POST /api/v4/ci/lint", "PRIVATE-TOKEN: 4f2a", r#"{"content":"include:\n  remote: http://10.0.0.7/a.yml"}"#),
    ("POST /api/snapshots", "Cookie: grafana_session=4f2a", r#"{"dashboard":{"title":"a"},"expires":60}"#),
    ("GET /verify.php?id=1&confirm_hash=4f2a9c", "", ""),
    ("GET /Images/Remote?imageUrl=https://image.example.org/a.jpg", "Authorization: MediaBrowser Token=4f2a", ""),
    ("GET /esp/cms_changeDeviceContext.esp?device=0123:fw-1", "Cookie: PHPSESSID=4f2a", ""),
    ("POST /ajax-api/3.0/jobs/", "Authorization: Basic YTpi", r#"{"job_name":"score","params":{"run_id":"4f2a"}}"#),
    ("POST /v6.58/Authentication", "", "[1,\"getAuthParameters\",1,0,{}]"),
    (
        "POST /Default/v6.58/Configuration",
        "Cookie: __ccPrivilegedAccessToken=4f2a",
        "[1,\"getNotificationBannerText\",1,0,{}]",
    ),
    (
        "POST /webtools/control/getJSONuiLabelArray",
        "Cookie: JSESSIONID=4F2A",
        "requiredLabels={\"CommonUiLabels\":[\"CommonDelete\"]}",
    ),
    ("GET /api/manager/db_mode?value=cache", "", ""),
    ("POST /userdata/workflows%2Fportrait.json", "", r#"{"nodes":[]}"#),
    ("GET /filex/read-raw?url=https://cdn.example.com/a.txt", "Cookie: JSESSIONID=4F2A", ""),
    ("GET /sys/ui/sys_ui_component/sysUiComponent.do?method=delPreviewFile&directoryPath=preview42", "", ""),
    ("POST /management/wizardLogin", "", "username=jane&password=Abc123&domain=corp"),
    (
        "POST /wp-admin/admin-ajax.php",
        "Content-Type: application/x-www-form-urlencoded",
        "action=wdk_public_action&function=select_2_ajax&table=category_m&print_column=category_title",
    ),
    ("GET /?auto-login=1&user_id=23&token=37693cfc74", "", ""),
    ("POST /wp-admin/admin-post.php", "Cookie: wordpress_logged_in_4f2a=jane", "action=download_backup"),
    ("GET /wp-json/lottiefiles/v1/settings/", "Authorization: Basic YTpi", ""),
    ("GET /?podlove_image_cache_url=68747470733a2f2f6578616d706c652e636f6d2f706870312e706e67&podlove_width=90", "", ""),
    ("POST /cms/collect/getArticle", "Authorization: Bearer a.b.c", r#"{"taskUrl":"https://news.example.org/a"}"#),
    ("POST /api/files/export-content", "", r##"{"markdown_text":"# Title","output_format":"pdf"}"##),
    ("GET /wp-json/bookit/v1/commerce/stripe/return?stripe=eyJhIjoiYiJ9", "Cookie: wordpress_logged_in_4f2a=jane", ""),
    (
        "POST /wp-admin/admin-ajax.php",
        "Cookie: wordpress_logged_in_4f2a=jane",
        "action=wpuf_submit_post&delete_attachments[]=31&post_title=a",
    ),
    ("POST /api/webhooks/trigger/app_1/wh_2", "", r#"{"order":7}"#),
    ("GET /api/datasources?name=/webhooks/trigger", "Cookie: budibase:auth=4f2a", ""),
    ("GET /api/v1/core/proxy/jsonprequest?url=https://weather.example.org/a", "token: 4f2a", ""),
    ("POST /scan", "", r#"{"url":"https://app.example.com","options":{"worker":4}}"#),
    ("POST /jane/books/_upload/main/", "Cookie: i_like_gogs=4f2a", "tree_path=src/git&files=7b1c"),
    (
        "POST /rest/nativemobile/1.0/batch",
        "Cookie: JSESSIONID=4F2A",
        r#"{"requests":[{"method":"GET","location":"/rest/api/2/myself"}]}"#,
    ),
    (
        "GET /wp-admin/admin-ajax.php?action=kirki_get_apis&endpoint=get-pre-built-html&elementUrl=https://kits.example.org/a",
        "Cookie: wordpress_logged_in_4f2a=jane",
        "",
    ),
    ("GET /cgi-bin/export-cgi?category=config&arg0=startup-config.conf", "Cookie: authtok=4f2a", ""),
    ("POST /register/", "", "username=jane&email=a%40example.com&action=register&register_b_nonce_field=4f2a"),
    (
        "POST /wp-json/slider-future/v1/upload-image/",
        "Cookie: wordpress_logged_in_4f2a=jane",
        r#"{"image_url":"https://a.example/b.png"}"#,
    ),
    ("GET /sse?transportType=stdio&command=npx", "X-MCP-Proxy-Auth: Bearer 4f2a", ""),
    ("GET /api/cors/https/app.example.com/dav/backup.json", "", ""),
    ("GET /API/V1/credentials", "Authorization: Bearer 4f2a", ""),
    ("POST /app/rest/users/id:1/tokens/ci", "Authorization: Bearer 4f2a", ""),
    ("GET /pentaho/api/userrolelist/systemRoles", "Cookie: JSESSIONID=4F2A", ""),
    (
        "POST /geoserver/wfs",
        "Content-Type: application/xml",
        "<wfs:GetFeature xmlns:wfs=\"http://www.opengis.net/wfs\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xsi:schemaLocation=\"http://www.opengis.net/wfs http://schemas.opengis.net/wfs/1.0.0/WFS-basic.xsd\"/>",
    ),
    ("GET /registry/machine?app=shop&ip=10.0.0.7&port=8719", "", ""),
    ("GET /registry/machine?app=shop&ip=fd00::7&port=8719", "", ""),
    (
        "POST /ReportingWebService/ReportingWebService.asmx",
        "Content-Type: text/xml",
        "<ReportEventBatch><MiscData><string>Administrator=SYSTEM</string></MiscData></ReportEventBatch>",
    ),
    ("POST /RemoteApplicationMetadata.rem", "Content-Type: text/xml", "<a/>"),
    ("GET /desktop,/cgi-bin/weblogin.cgi", "Cookie: authtok=4f2a", ""),
    ("POST /api/sys/set_passwd", "Authorization: 4f2a", r#"{"username":"web","admin_new":"Abcdef12"}"#),
    ("POST /cgi-bin/libagent.cgi?type=J", "Cookie: sid=4711", r#"{"O_":"A","F_":"GET_STATUS","S_":4711,"V_":1}"#),
    (
        "POST /ubus/",
        "Content-Type: application/json",
        r#"{"jsonrpc":"2.0","id":1,"method":"call","params":["4f2a9c1b7e304f2a9c1b7e304f2a9c1b","session","list",{}]}"#,
    ),
    (
        "POST /modules/Rubrics/rubrics_visualise_saveAjax.php",
        "Cookie: G60fa1cd0af7be78b=4f2a",
        "img=data:image/png;base64,iVBORw0KGgo&path=a.png&gibbonPersonID=0000000001",
    ),
    ("GET /bower_components/angular-base64-upload/dist/angular-base64-upload.min.js", "", ""),
    ("GET /FormServer/servlet/GetDocumentServlet?docID=00000190", "", ""),
    ("GET /crossdomain.xml", "", ""),
    ("GET /dview8/api/usersByLevel", "Authorization: eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZGEifQ.c2ln", ""),
    ("GET /api/auth/me", "Authorization: Bearer eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJhZG1pbiJ9.c2ln", ""),
    ("GET /logfile?d=2026-11-30", "", ""),
    (
        "POST /login?next=/dashboard",
        "Content-Type: application/x-www-form-urlencoded",
        "do=login&username=ada&password=secret&submit=Login",
    ),
    (
        "POST /wp-json/optifer/v1/store-webp",
        "Content-Type: application/x-www-form-urlencoded",
        "image=UklGRg==&url=a.webp&license_key_hash=0cc175b9c0f1b6a831c399e269772661",
    ),
    (
        "GET /wp-content/webpc-passthru.php?src=https://www.example.com/wp-content/uploads/2026/01/a.jpg&nocache=1",
        "",
        "",
    ),
    (
        "POST /save.php",
        "Content-Type: application/x-www-form-urlencoded",
        "file=demo/landing/index.html&html=<html></html>",
    ),
    (
        "POST /wp-admin/admin-ajax.php",
        "Content-Type: application/x-www-form-urlencoded",
        "action=login_or_register_user&eael-resetpassword-submit=true&rp_key=4f2a9c&rp_login=jane&eael-pass1=Abcdef12",
    ),
    (
        "POST /api/v1/livechat/sms-incoming/twilio",
        "Content-Type: application/x-www-form-urlencoded",
        "From=5551&To=5552&NumMedia=1&MediaUrl0=https%3A%2F%2Fapi.twilio.com%2F2010-04-01%2FAccounts%2FAC4f2a%2FMedia%2FME1",
    ),
    (
        "POST /Providers/HtmlEditorProviders/DNNConnect.CKE/Browser/FileUploader.ashx",
        "Cookie: .DOTNETNUKE=4F2A9C",
        "overrideFiles=0",
    ),
    ("POST /options.php", "Cookie: PHPSESSID=4f2a", "csrf_token=4f2a&section=security&allowed_file_types=jpg,png,pdf"),
    ("GET /faq/what-is-it%3F", "", ""),
    ("GET /html/usr/share/doc/hostname/copyright", "", ""),
    ("GET /weaver/weaver.file.FileDownload?fileid=7&download=1", "Cookie: ecology_JSessionid=4f2a", ""),
    ("POST /RemoteControlAuth/api/Auth", "", r#"{"logintype":"1","username":"ada","password":"4f2a"}"#),
    ("POST /api/v1/fabric_device_auth/fortigate/init", "X-SSL-CLIENT-VERIFY: NONE", "a"),
    ("GET /wsfed/passive?wa=wsignin1.0&wctx=rm%3D0", "", ""),
    ("POST /mcp_message?sessionId=4f2a", "Authorization: 4f2a", r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
    ("GET /api/modular-connector/login/4f2a/?origin=mo&type=request&mrid=4f2a", "", ""),
    (
        "POST /api/v1/build_public_tmp/3f2b8c1e-1111-4222-8333-abcdefabcdef/flow",
        "Cookie: client_id=4f2a",
        r#"{"inputs":{"input_value":"hi"},"data":{"nodes":[{"code":{"value":"import os\nclass A: pass"}}]}}"#,
    ),
    (
        "POST /wp-json/batch/v1",
        "Cookie: wordpress_logged_in_4f2a=jane",
        r#"{"validation":"require-all-validate","requests":[{"path":"/wp/v2/menu-items/7","method":"PUT"}]}"#,
    ),
    (
        "POST /?rest_route=/batch/v1",
        "Cookie: wordpress_logged_in_4f2a=jane",
        r#"{"requests":[{"path":"/wp/v2/widgets/a","body":{"url":"https://a.example"}}]}"#,
    ),
    ("POST /wp-json/wc/store/v1/batch", "", r#"{"requests":[{"path":"/wc/store/v1/cart/add-item","body":{"id":7}}]}"#),
    ("GET /?rest_route=/wp/v2/sensei_email/12", "Cookie: wordpress_logged_in_4f2a=jane", ""),
    ("GET /?rest_route=/wp/v2/posts/12", "", ""),
    ("GET /wp-json/wp/v2/sfwd-question/7", "Authorization: Basic YTpi", ""),
    (
        "GET /wp-admin/themes.php?page=demo&do_reset_wordpress=true&_wpnonce=4f2a9c",
        "Cookie: wordpress_logged_in_4f2a=jane",
        "",
    ),
    ("POST /wp-admin/admin-ajax.php?action=eventon_get_events", "", "month=11"),
    ("GET /wp-admin/admin-ajax.php?action=heartbeat&hash=0cc175b9c0f1b6a831c399e269772661", "", ""),
    ("POST /", "", "function=register&user=jane&pubkey=LS0tLS1CRUdJTiBQVUJMSUMgS0VZ"),
    ("POST /register", "", "function=registered&user=jane&pubkey="),
    ("GET /dup-installer/main.installer.php?is_daws=1", "", ""),
    ("POST /commandcenter/api/Login", "", r#"{"username":"jane","password":"YQ==","commserver":"vault7"}"#),
    ("GET /services/UserRegistrationAdminService?wsdl", "", ""),
    ("POST /ajax/ticket_user_db.php", "Cookie: PHPSESSID=4f2a", "modifyuser=1&id=7&mail=jane@example.com"),
    ("POST /classes/Users.php?f=save", "Cookie: PHPSESSID=4f2a", "id=7&username=jane&type=2"),
    ("GET /xwiki/bin/view/XWiki/jane?xpage=plain", "", ""),
    ("GET /xwiki/bin/view/XWiki/jane?xpage=xml", "Cookie: JSESSIONID=4F2A", ""),
    ("GET /render/info.html", "Cookie: pyload_session=4f2a", ""),
    ("GET /building/backmgr/urlpage/mobileurl/mobileurl.jsp", "", ""),
    ("GET /system/config_menu.htm", "Cookie: auth=4f2a", ""),
    ("GET /cmd?cmd=connect", "Authorization: Digest username=jane", ""),
    ("GET /cmd?cmd=status", "", ""),
    ("GET /file=/tmp/gradio/4f2a9c/picture.png", "", ""),
    ("GET /docs/file=https://a.example", "", ""),
    ("POST /tc.CBS.Appl/tcspseudo", "", "ACTION=STATUS&USER=jane&PWD=a"),
    ("POST /v1/proxy/test", "X-Authorization: 4f2a", r#"{"saasUrl":"https://cloud.example"}"#),
    ("GET /downloads/1.2/files.md5", "", ""),
    ("POST /tcp.php", "Cookie: PHPSESSID=4f2a", "function_id=tcp_xml_request&command=WS_GET_NETWORK_CFG"),
    ("POST /tcp.php", "", "function_id=tcp_xml_request&command=WS_GET_STATUS"),
    ("GET /js/login.js", "", ""),
    ("GET /rest/system/info", "Cookie: AuthToken=4f2a; AuthGroup=superuser; UserName=admin", ""),
    ("GET /trufusionPortal/jsp/login.jsp", "", ""),
    ("GET /wp-content/plugins/yet-another-related-posts-plugin/style/widget.css", "", ""),
    ("GET /wp-content/themes/cas/style.css?url=a", "", ""),
    ("POST /?spbc_remote_call_token=4f2a&spbc_remote_call_action=update_settings&plugin_name=apbct", "", ""),
    ("GET /?action=debug", "", ""),
    (
        "POST /wp-admin/admin-ajax.php",
        "Content-Type: application/x-www-form-urlencoded",
        r#"action=lakit_ajax&actions={"a":{"action":"register","data":{"username":"jane","lakit_field_log":"yes"}}}"#,
    ),
    ("POST /commandcenter/RestServlet/QCommand", "Authtoken: 4f2a", "qlist job -c client7 -file /tmp/report.txt"),
    (
        "POST /",
        "Content-Type: application/x-www-form-urlencoded\nCookie: wordpress_logged_in_4f2a=jane",
        "rest_route=/batch/v1&requests[0][path]=/wp/v2/widgets/a&requests[0][method]=PUT",
    ),
    (
        "POST /",
        "Content-Type: application/x-www-form-urlencoded",
        "rest_route=/wc/store/v1/batch&path=/wc/store/v1/cart",
    ),
];

#[test]
fn legitimate_requests_to_the_same_products_pass() {
    let mut wrong = Vec::new();
    for (line, headers, body) in LEGITIMATE {
        let kind = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let headers = if headers.is_empty() { String::new() } else { format!("{headers}\n") };
        let request = format!("{line} HTTP/1.1\nHost: app.example.com\nContent-Type: {kind}\n{headers}\n{body}\n");
        let text = String::new;
        let entry = CveEntry { cve: text(), product: text(), by: text(), source: text(), request };
        let rules = deciding_rules(&entry, ruleset());
        if rules.iter().any(|rule| rule.starts_with("cve.")) {
            wrong.push(format!("{line}: {rules:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
