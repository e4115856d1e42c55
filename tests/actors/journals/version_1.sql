PRAGMA application_id = 1400140385;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE _records (
        seq INTEGER PRIMARY KEY,  -- over all runs, without gaps
        run TEXT NOT NULL,
        n INTEGER NOT NULL,       -- within the run, from 1, without gaps
        kind TEXT NOT NULL,
        call TEXT,
        at INTEGER NOT NULL,      -- wall clock, milliseconds since 1970, UTC
        body TEXT NOT NULL,       -- JSON
        body_digest BLOB,         -- of a pruned body: SHA-256 of what it was; else NULL
        hash BLOB NOT NULL,       -- see journal_chain.py
        UNIQUE (run, n)
    );
INSERT INTO "_records" VALUES(1,'b7c7a28db74c',1,'run_started',NULL,1795828329590,'{"kind":"run_started","session":"b7c7a28db74c","name":"session"}',NULL,X'C988C0DCD53EBDF020CF58E1F5EC286DA76AD140A627C86FD980C565CCFBB4C3');
INSERT INTO "_records" VALUES(2,'b7c7a28db74c',2,'scope_opened',NULL,1795828329590,'{"kind":"scope_opened","scope":"","label":"session","limits":{}}',NULL,X'80AC235E3BFD44B12C9D4F003715EC142784EC55C30DD2C951969BE6DEB39957');
INSERT INTO "_records" VALUES(3,'762523920fbf',1,'run_started',NULL,1795828329593,'{"kind":"run_started","session":"b7c7a28db74c","name":"talk","target":"talk.py:talk","inputs":{"abouts":["sea","sky"]},"code_digest":"b23db4438ceb"}',NULL,X'8DC61B2D0A3041A718062B8E1794E2FF46067AA2DAEBC8A224EEB4640BEABC52');
INSERT INTO "_records" VALUES(4,'762523920fbf',2,'scope_opened',NULL,1795828329593,'{"kind":"scope_opened","elapsed_ms":1,"scope":"","label":"talk","limits":{"usd":1000000000000}}',NULL,X'7ACF110FC4FAA0D8ED0F3E34F4C6B1291C059C3E6948A68082A5D44106F33926');
INSERT INTO "_records" VALUES(5,'762523920fbf',3,'call_started','say#1',1795828329609,'{"kind":"call_started","elapsed_ms":16,"call":"say#1","function":"say","type":"infer","input_digest":"e100a6408913","model":"gpt-4o"}',NULL,X'C5DF59D0E20CC9AE122FD3A6667F94357344021F34217016D33F47A10EAA3601');
INSERT INTO "_records" VALUES(6,'762523920fbf',4,'scope_opened',NULL,1795828329609,'{"kind":"scope_opened","elapsed_ms":16,"scope":"say#1","label":"say#1","limits":{"usd":10000000000}}',NULL,X'640D0C480CB1C12210BCE29FAE8E2E984693393B16A8DE5820A38985F4968C74');
INSERT INTO "_records" VALUES(7,'762523920fbf',5,'reserved','say#1',1795828329609,'{"kind":"reserved","elapsed_ms":17,"reservation":"5376a17462b14c6a","scope":"say#1","call":"say#1","attempt":1,"model":"gpt-4o","picousd":706000000,"tokens":606}',NULL,X'A3220222822C7EA729E13BFAD18C42733152384D23366E94DEE5CFACC32B0B2C');
INSERT INTO "_records" VALUES(8,'762523920fbf',6,'settled',NULL,1795828329611,'{"kind":"settled","elapsed_ms":18,"reservation":"5376a17462b14c6a","picousd":119000000,"tokens":115,"usage":{"input_tokens":111,"output_tokens":4}}',NULL,X'69A545EEBFD14E27A9366DBE09AE05B44E231DD0288C1158FB704B945BCD234B');
INSERT INTO "_records" VALUES(9,'762523920fbf',7,'attempt_finished','say#1',1795828329611,'{"kind":"attempt_finished","elapsed_ms":18,"call":"say#1","attempt":{"number":1,"duration_ms":2,"usage":{"input_tokens":111,"output_tokens":4},"picousd":119000000,"new_input_bytes":442,"new_input_tokens":111,"response_id":"resp_1"}}',NULL,X'32407954A032434E2247A90C1F1EF0AF854C0D6D8C3C79233CF6BE4423B78FF0');
INSERT INTO "_records" VALUES(10,'762523920fbf',8,'call_finished','say#1',1795828329611,'{"kind":"call_finished","elapsed_ms":18,"call":"say#1","outcome":"ok","output":{"text":"rain"},"trace":{"function":"say","model":"gpt-4o","inputs":{"about":"sea"},"compiled_prompt_hash":"ff72656cd121","contract_hash":"54669b5e6a1b","attempts":1,"output":{"text":"rain"},"duration_ms":2,"cost_usd":0.000119,"retry_reasons":[],"run_id":"762523920fbf","step_id":"say#1","parent_id":"","flow_id":"762523920fbf","kind":"infer","outcome":"ok","error":"","attempt_details":[{"number":1,"duration_ms":2,"usage":{"input_tokens":111,"output_tokens":4},"picousd":119000000,"new_input_bytes":442,"new_input_tokens":111,"response_id":"resp_1"}],"input_tokens":111,"cached_tokens":0,"output_tokens":4,"reasoning_tokens":0,"cost_picousd":119000000,"estimated":false,"cache_hit":false,"transport_retries":0,"started_at":"2026-11-28T01:12:09.609+00:00"}}',NULL,X'C0B1C9018C7FC9563DC445C82269B8478992A21A8AA2F340BCEA1DCD5C9539C6');
INSERT INTO "_records" VALUES(11,'762523920fbf',9,'call_started','shout#1',1795828329612,'{"kind":"call_started","elapsed_ms":19,"call":"shout#1","function":"shout","type":"compute","input_digest":"518e778e3ffe"}',NULL,X'98CE5D897189BCB514692A509EA076D4EAE67D399047E2B2D90AFD771C7B258C');
INSERT INTO "_records" VALUES(12,'762523920fbf',10,'call_finished','shout#1',1795828329612,'{"kind":"call_finished","elapsed_ms":20,"call":"shout#1","outcome":"ok","output":{"value":"RAIN"},"trace":{"function":"shout","model":"","inputs":{"word":{"text":"rain"}},"compiled_prompt_hash":"","contract_hash":"12ed9447fbbb","attempts":1,"output":"RAIN","duration_ms":0,"cost_usd":0.0,"retry_reasons":[],"run_id":"762523920fbf","step_id":"shout#1","parent_id":"","flow_id":"762523920fbf","kind":"compute","outcome":"ok","error":"","attempt_details":[],"input_tokens":0,"cached_tokens":0,"output_tokens":0,"reasoning_tokens":0,"cost_picousd":0,"estimated":false,"cache_hit":false,"transport_retries":0,"started_at":"2026-11-28T01:12:09.612+00:00"}}',NULL,X'E0C9CE630D47B4EC6A63A64C859C1960B7D4E89639E22AC21FA5A1C8863CE5E4');
INSERT INTO "_records" VALUES(13,'762523920fbf',11,'call_started','say#2',1795828329612,'{"kind":"call_started","elapsed_ms":20,"call":"say#2","function":"say","type":"infer","input_digest":"15bd48ac01e6","model":"gpt-4o"}',NULL,X'AE00CE8C4D5D1DC4DC89C596508C592F7DAD69956F2F65AA3626483FFC46DA93');
INSERT INTO "_records" VALUES(14,'762523920fbf',12,'scope_opened',NULL,1795828329612,'{"kind":"scope_opened","elapsed_ms":20,"scope":"say#2","label":"say#2","limits":{"usd":10000000000}}',NULL,X'F6B54D02D4A3BF87FDD798EDD0486B46E2C8FF3B579D8399B9CC4FCD1A304F17');
INSERT INTO "_records" VALUES(15,'762523920fbf',13,'reserved','say#2',1795828329612,'{"kind":"reserved","elapsed_ms":20,"reservation":"675c8f84a74444da","scope":"say#2","call":"say#2","attempt":1,"model":"gpt-4o","picousd":706000000,"tokens":606}',NULL,X'E21CEC02BBEBBFAAAED8B94A0AE2679C632DE7CB2D2F6225CAE1C58A7EDCE4A9');
INSERT INTO "_records" VALUES(16,'762523920fbf',14,'settled',NULL,1795828329614,'{"kind":"settled","elapsed_ms":21,"reservation":"675c8f84a74444da","picousd":117000000,"tokens":114,"usage":{"input_tokens":111,"output_tokens":3}}',NULL,X'4523C0E4A07CC7611B0156DD6A214D8709CBE291677F081EBD4AA4ED813CB59B');
INSERT INTO "_records" VALUES(17,'762523920fbf',15,'answered','say#2',1795828329614,'{"kind":"answered","elapsed_ms":21,"call":"say#2","number":1,"body":"{\"id\":\"resp_2\",\"object\":\"response\",\"created_at\":0,\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"instructions\":null,\"metadata\":{},\"model\":\"gpt-4o\",\"output\":[{\"type\":\"function_call\",\"id\":\"fc_resp_2\",\"call_id\":\"call_resp_2\",\"name\":\"say\",\"arguments\":\"{\\\"text\\\":\\\"x\\\"}\",\"status\":\"completed\"}],\"parallel_tool_calls\":false,\"temperature\":1.0,\"tool_choice\":{\"type\":\"function\",\"name\":\"say\"},\"tools\":[],\"top_p\":1.0,\"usage\":{\"input_tokens\":111,\"input_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0},\"output_tokens\":3,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":114}}","dialect":"responses"}',NULL,X'860C56EB2FE1730E54843FA11B34FBD9219A5468076ACB9B4013B5BD47DA1800');
INSERT INTO "_records" VALUES(18,'762523920fbf',16,'attempt_finished','say#2',1795828329614,'{"kind":"attempt_finished","elapsed_ms":21,"call":"say#2","attempt":{"number":1,"duration_ms":1,"usage":{"input_tokens":111,"output_tokens":3},"picousd":117000000,"new_input_bytes":442,"new_input_tokens":111,"violations":[{"kind":"ensure","condition":"len(word.text) > 1","detail":"actual: word.text = ''x''"}],"response_id":"resp_2"}}',NULL,X'C4705BB030ABF7CB7404FD4F98D416A1F686EAAFF82629F2D119478FF5F75385');
INSERT INTO "_records" VALUES(19,'762523920fbf',17,'reserved','say#2',1795828329614,'{"kind":"reserved","elapsed_ms":21,"reservation":"940ae8a22e9a4f56","scope":"say#2","call":"say#2","attempt":2,"model":"gpt-4o","picousd":1019000000,"tokens":919}',NULL,X'B61905C16B73EED54D5D635AB3DBF5BD42CDC432D02A0A8C08A8F7BCEC090192');
INSERT INTO "_records" VALUES(20,'762523920fbf',18,'settled',NULL,1795828329615,'{"kind":"settled","elapsed_ms":22,"reservation":"940ae8a22e9a4f56","picousd":197000000,"tokens":193,"usage":{"input_tokens":189,"output_tokens":4}}',NULL,X'089725B93F437AC95F0467CBA3B640D89E4C6B5E4FD1D0868F9876D09BADE818');
INSERT INTO "_records" VALUES(21,'762523920fbf',19,'attempt_finished','say#2',1795828329615,'{"kind":"attempt_finished","elapsed_ms":23,"call":"say#2","attempt":{"number":2,"duration_ms":1,"usage":{"input_tokens":189,"output_tokens":4},"picousd":197000000,"new_input_bytes":313,"new_input_tokens":78,"response_id":"resp_3"}}',NULL,X'72065038E60220F970F27B98126AB16907E55C9F9F2F6D74397C7443376F8CCE');
INSERT INTO "_records" VALUES(22,'762523920fbf',20,'call_finished','say#2',1795828329615,'{"kind":"call_finished","elapsed_ms":23,"call":"say#2","outcome":"ok","output":{"text":"hail"},"trace":{"function":"say","model":"gpt-4o","inputs":{"about":"sky"},"compiled_prompt_hash":"09381fedfd77","contract_hash":"54669b5e6a1b","attempts":2,"output":{"text":"hail"},"duration_ms":3,"cost_usd":0.000314,"retry_reasons":["ensure: len(word.text) > 1 — actual: word.text = ''x''"],"run_id":"762523920fbf","step_id":"say#2","parent_id":"","flow_id":"762523920fbf","kind":"infer","outcome":"ok","error":"","attempt_details":[{"number":1,"duration_ms":1,"usage":{"input_tokens":111,"output_tokens":3},"picousd":117000000,"new_input_bytes":442,"new_input_tokens":111,"violations":[{"kind":"ensure","condition":"len(word.text) > 1","detail":"actual: word.text = ''x''"}],"response_id":"resp_2"},{"number":2,"duration_ms":1,"usage":{"input_tokens":189,"output_tokens":4},"picousd":197000000,"new_input_bytes":313,"new_input_tokens":78,"response_id":"resp_3"}],"input_tokens":300,"cached_tokens":0,"output_tokens":7,"reasoning_tokens":0,"cost_picousd":314000000,"estimated":false,"cache_hit":false,"transport_retries":0,"started_at":"2026-11-28T01:12:09.612+00:00"}}',NULL,X'2E23849DF86B8EB64333AE064B076C3D967A646A1021BB83E51A1FCA93EB4E5F');
INSERT INTO "_records" VALUES(23,'762523920fbf',21,'call_started','shout#2',1795828329616,'{"kind":"call_started","elapsed_ms":23,"call":"shout#2","function":"shout","type":"compute","input_digest":"2c793ff6bb40"}',NULL,X'27298E98246C5B6DEDDE5D5425422C0FE45820944B4DBB8830EC23C249DF8C3F');
INSERT INTO "_records" VALUES(24,'762523920fbf',22,'call_finished','shout#2',1795828329616,'{"kind":"call_finished","elapsed_ms":24,"call":"shout#2","outcome":"ok","output":{"value":"HAIL"},"trace":{"function":"shout","model":"","inputs":{"word":{"text":"hail"}},"compiled_prompt_hash":"","contract_hash":"12ed9447fbbb","attempts":1,"output":"HAIL","duration_ms":0,"cost_usd":0.0,"retry_reasons":[],"run_id":"762523920fbf","step_id":"shout#2","parent_id":"","flow_id":"762523920fbf","kind":"compute","outcome":"ok","error":"","attempt_details":[],"input_tokens":0,"cached_tokens":0,"output_tokens":0,"reasoning_tokens":0,"cost_picousd":0,"estimated":false,"cache_hit":false,"transport_retries":0,"started_at":"2026-11-28T01:12:09.616+00:00"}}',NULL,X'75C9333906AA75ACD01A26194242C584B1303C20E95C41426987B62880B2B36B');
INSERT INTO "_records" VALUES(25,'762523920fbf',23,'run_finished',NULL,1795828329616,'{"kind":"run_finished","elapsed_ms":24,"state":"succeeded","output":{"value":["RAIN","HAIL"]}}',NULL,X'089A2B3C616D6CD9E431E6C6131806C466A1AF5532F5DC51D1ED206A0D6C8624');
INSERT INTO "_records" VALUES(26,'b7c7a28db74c',3,'run_finished',NULL,1795828329617,'{"kind":"run_finished","elapsed_ms":27,"state":"succeeded","output":null}',NULL,X'4502B46368C2D1205BCE1E0599522DCCB43880150749478019AE19DD31896575');
INSERT INTO "_records" VALUES(27,'b082603020a1',1,'run_started',NULL,1795828330073,'{"kind":"run_started","session":"b082603020a1","name":"session"}',NULL,X'1B371DFCA889F66A913EF68D5BD1D3E4E5CBDB1CB159C69E5CB0043CBA8259D6');
INSERT INTO "_records" VALUES(28,'b082603020a1',2,'scope_opened',NULL,1795828330073,'{"kind":"scope_opened","scope":"","label":"session","limits":{}}',NULL,X'2B9CB4B8A9CD1AAE0467A576B0D2C4504FF8A4A388B13FF756093028B1914C94');
INSERT INTO "_records" VALUES(29,'348e7c58f65e',1,'run_started',NULL,1795828330076,'{"kind":"run_started","session":"b082603020a1","name":"talk","target":"talk.py:talk","inputs":{"abouts":["one","two"]},"code_digest":"b23db4438ceb"}',NULL,X'5589A0FB0D6BF075F38AF8E48BCCA2F5E1C13C9EA754F51D1F5B7E5B50B8EFF8');
INSERT INTO "_records" VALUES(30,'348e7c58f65e',2,'scope_opened',NULL,1795828330076,'{"kind":"scope_opened","scope":"","label":"talk","limits":{"usd":1000000000000}}',NULL,X'E31CF063DAF2B09EBCE30F82215F9673ED48EF8FBD2E2F5E3D8C9BD1DFAA75C6');
INSERT INTO "_records" VALUES(31,'348e7c58f65e',3,'call_started','say#1',1795828330089,'{"kind":"call_started","elapsed_ms":14,"call":"say#1","function":"say","type":"infer","input_digest":"133222f0a2b3","model":"gpt-4o"}',NULL,X'3AC76DE6F4B4B9C1FFA85DE7D5008FB0FDD788ACB2A6ABB72313C6527F584414');
INSERT INTO "_records" VALUES(32,'348e7c58f65e',4,'scope_opened',NULL,1795828330089,'{"kind":"scope_opened","elapsed_ms":14,"scope":"say#1","label":"say#1","limits":{"usd":10000000000}}',NULL,X'95F53C98667B18D85F0AFDB5455F3576D0A8CA6FB3864F68B28B8155B4688733');
INSERT INTO "_records" VALUES(33,'348e7c58f65e',5,'reserved','say#1',1795828330090,'{"kind":"reserved","elapsed_ms":14,"reservation":"8dbfbc1a42404a95","scope":"say#1","call":"say#1","attempt":1,"model":"gpt-4o","picousd":706000000,"tokens":606}',NULL,X'F5D30447D7641C1BEAF398E8A73AD42ABC85489946B9238416FB79A94C4C0FCF');
INSERT INTO "_records" VALUES(34,'348e7c58f65e',6,'settled',NULL,1795828330091,'{"kind":"settled","elapsed_ms":16,"reservation":"8dbfbc1a42404a95","picousd":119000000,"tokens":115,"usage":{"input_tokens":111,"output_tokens":4}}',NULL,X'000575D26672A284DDB58D17FE89B34F7D1C16B9DE3203022DA72E912149D28A');
INSERT INTO "_records" VALUES(35,'348e7c58f65e',7,'attempt_finished','say#1',1795828330091,'{"kind":"attempt_finished","elapsed_ms":16,"call":"say#1","attempt":{"number":1,"duration_ms":1,"usage":{"input_tokens":111,"output_tokens":4},"picousd":119000000,"new_input_bytes":442,"new_input_tokens":111,"response_id":"resp_1"}}',NULL,X'82374EB2F7FB621F825CB97E41EB896CE08CBAA5238A59A32F14FC83C905DB20');
INSERT INTO "_records" VALUES(36,'348e7c58f65e',8,'call_finished','say#1',1795828330091,'{"kind":"call_finished","elapsed_ms":16,"call":"say#1","outcome":"ok","output":{"text":"wind"},"trace":{"function":"say","model":"gpt-4o","inputs":{"about":"one"},"compiled_prompt_hash":"6ae7506edabc","contract_hash":"54669b5e6a1b","attempts":1,"output":{"text":"wind"},"duration_ms":2,"cost_usd":0.000119,"retry_reasons":[],"run_id":"348e7c58f65e","step_id":"say#1","parent_id":"","flow_id":"348e7c58f65e","kind":"infer","outcome":"ok","error":"","attempt_details":[{"number":1,"duration_ms":1,"usage":{"input_tokens":111,"output_tokens":4},"picousd":119000000,"new_input_bytes":442,"new_input_tokens":111,"response_id":"resp_1"}],"input_tokens":111,"cached_tokens":0,"output_tokens":4,"reasoning_tokens":0,"cost_picousd":119000000,"estimated":false,"cache_hit":false,"transport_retries":0,"started_at":"2026-11-28T01:12:10.089+00:00"}}',NULL,X'2A17F7FCC83232DC50EDC8AEEC6610DCCD70A9BD5D40413A1337CB2443350CBB');
INSERT INTO "_records" VALUES(37,'348e7c58f65e',9,'call_started','shout#1',1795828330092,'{"kind":"call_started","elapsed_ms":17,"call":"shout#1","function":"shout","type":"compute","input_digest":"ed500da22c1d"}',NULL,X'3DA91F10169A767192BD0A2AE2919DD2390DC4A6AE83E5CFD6354153984A45F2');
INSERT INTO "_records" VALUES(38,'348e7c58f65e',10,'call_finished','shout#1',1795828330092,'{"kind":"call_finished","elapsed_ms":17,"call":"shout#1","outcome":"ok","output":{"value":"WIND"},"trace":{"function":"shout","model":"","inputs":{"word":{"text":"wind"}},"compiled_prompt_hash":"","contract_hash":"12ed9447fbbb","attempts":1,"output":"WIND","duration_ms":0,"cost_usd":0.0,"retry_reasons":[],"run_id":"348e7c58f65e","step_id":"shout#1","parent_id":"","flow_id":"348e7c58f65e","kind":"compute","outcome":"ok","error":"","attempt_details":[],"input_tokens":0,"cached_tokens":0,"output_tokens":0,"reasoning_tokens":0,"cost_picousd":0,"estimated":false,"cache_hit":false,"transport_retries":0,"started_at":"2026-11-28T01:12:10.092+00:00"}}',NULL,X'28E1A6AC3131CB4E308176886F9FEBF6074275CB7353F4F3EB414ED650EDD34C');
INSERT INTO "_records" VALUES(39,'348e7c58f65e',11,'call_started','say#2',1795828330093,'{"kind":"call_started","elapsed_ms":17,"call":"say#2","function":"say","type":"infer","input_digest":"3effc55e2114","model":"gpt-4o"}',NULL,X'B09ADF656C4643116021B4BACFF009BBBFAFD0DA1C2914B13F43FF9AC7F06059');
INSERT INTO "_records" VALUES(40,'348e7c58f65e',12,'scope_opened',NULL,1795828330093,'{"kind":"scope_opened","elapsed_ms":17,"scope":"say#2","label":"say#2","limits":{"usd":10000000000}}',NULL,X'F179421C6B6D6E6BE3AD4D25865026FFFCD0A49D8CC6F252CB3E43E09CE945AD');
INSERT INTO "_records" VALUES(41,'348e7c58f65e',13,'reserved','say#2',1795828330093,'{"kind":"reserved","elapsed_ms":17,"reservation":"935951eac3344d79","scope":"say#2","call":"say#2","attempt":1,"model":"gpt-4o","picousd":706000000,"tokens":606}',NULL,X'4900D37027ECF546E00B33A2DA1DAB3ECF89DA8EAA62D575A4D967CCF3BD706A');
INSERT INTO "_records" VALUES(42,'348e7c58f65e',14,'settled',NULL,1795828330094,'{"kind":"settled","elapsed_ms":18,"reservation":"935951eac3344d79","picousd":117000000,"tokens":114,"usage":{"input_tokens":111,"output_tokens":3}}',NULL,X'2FAE3ECEB35BE7271DD0A0F623BE0294F33C6381196AB71BD11F73E3B466C412');
INSERT INTO "_records" VALUES(43,'348e7c58f65e',15,'answered','say#2',1795828330094,'{"kind":"answered","elapsed_ms":18,"call":"say#2","number":1,"body":"{\"id\":\"resp_2\",\"object\":\"response\",\"created_at\":0,\"status\":\"completed\",\"error\":null,\"incomplete_details\":null,\"instructions\":null,\"metadata\":{},\"model\":\"gpt-4o\",\"output\":[{\"type\":\"function_call\",\"id\":\"fc_resp_2\",\"call_id\":\"call_resp_2\",\"name\":\"say\",\"arguments\":\"{\\\"text\\\":\\\"y\\\"}\",\"status\":\"completed\"}],\"parallel_tool_calls\":false,\"temperature\":1.0,\"tool_choice\":{\"type\":\"function\",\"name\":\"say\"},\"tools\":[],\"top_p\":1.0,\"usage\":{\"input_tokens\":111,\"input_tokens_details\":{\"cached_tokens\":0,\"cache_write_tokens\":0},\"output_tokens\":3,\"output_tokens_details\":{\"reasoning_tokens\":0},\"total_tokens\":114}}","dialect":"responses"}',NULL,X'B29E292651C2BFFF10D9B270284D3C9B2B57789FB701E757F84B809D28F675F5');
INSERT INTO "_records" VALUES(44,'348e7c58f65e',16,'attempt_finished','say#2',1795828330094,'{"kind":"attempt_finished","elapsed_ms":19,"call":"say#2","attempt":{"number":1,"duration_ms":1,"usage":{"input_tokens":111,"output_tokens":3},"picousd":117000000,"new_input_bytes":442,"new_input_tokens":111,"violations":[{"kind":"ensure","condition":"len(word.text) > 1","detail":"actual: word.text = ''y''"}],"response_id":"resp_2"}}',NULL,X'9619697DAAF72DFE616B902F8E8C53A0D9EEEB756A4DAA4D381929EC23409297');
INSERT INTO "_records" VALUES(45,'348e7c58f65e',17,'reserved','say#2',1795828330094,'{"kind":"reserved","elapsed_ms":19,"reservation":"ccca9392a6de472a","scope":"say#2","call":"say#2","attempt":2,"model":"gpt-4o","picousd":1019000000,"tokens":919}',NULL,X'10912F36509AC3F88534A861C8D47599EC8817A3677BAB9B090781D02A6EF152');
CREATE TABLE _runs (
        run TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        target TEXT NOT NULL,
        session TEXT NOT NULL,    -- that started or last resumed it
        owner TEXT,               -- the session that may append to it; NULL once it finished
        state TEXT NOT NULL,      -- running, or how it finished
        error TEXT NOT NULL,
        started_at INTEGER NOT NULL,
        ended_at INTEGER,
        pruned INTEGER NOT NULL DEFAULT 0
    ) WITHOUT ROWID
    ;
INSERT INTO "_runs" VALUES('348e7c58f65e','talk','talk.py:talk','b082603020a1','b082603020a1','running','',1795828330076,NULL,0);
INSERT INTO "_runs" VALUES('762523920fbf','talk','talk.py:talk','b7c7a28db74c',NULL,'succeeded','',1795828329593,1795828329616,0);
INSERT INTO "_runs" VALUES('b082603020a1','session','','b082603020a1','b082603020a1','running','',1795828330073,NULL,0);
INSERT INTO "_runs" VALUES('b7c7a28db74c','session','','b7c7a28db74c',NULL,'succeeded','',1795828329590,1795828329617,0);
CREATE INDEX _runs_by_start ON _runs (started_at);
CREATE VIEW runs AS 
    SELECT run AS run_id, name, target, session, state, error,
        strftime('%Y-%m-%dT%H:%M:%fZ', started_at / 1000.0, 'unixepoch') AS started_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', ended_at / 1000.0, 'unixepoch') AS ended_at,
        (SELECT coalesce(sum(json_extract(body, '$.picousd')), 0) FROM _records
            WHERE _records.run = _runs.run AND kind IN ('settled', 'reconciled')) AS cost_picousd,
        (SELECT coalesce(sum(json_extract(body, '$.picousd')), 0) / 1e12 FROM _records
            WHERE _records.run = _runs.run AND kind IN ('settled', 'reconciled')) AS cost_usd,
        pruned
    FROM _runs;
CREATE VIEW steps AS 
    WITH
        begun AS (SELECT run, call, min(n), at, body FROM _records WHERE kind = 'call_started' GROUP BY run, call),
        ended AS (SELECT run, call, max(n), at, body FROM _records WHERE kind = 'call_finished' GROUP BY run, call)
    SELECT begun.run AS run_id, begun.call AS step_id,
        coalesce(json_extract(begun.body, '$.parent'), '') AS parent_id,
        json_extract(begun.body, '$.function') AS function,
        json_extract(begun.body, '$.type') AS kind,
        coalesce(json_extract(begun.body, '$.model'), '') AS model,
        json_extract(begun.body, '$.input_digest') AS input_digest,
        json_extract(ended.body, '$.outcome') AS outcome,
        json_extract(ended.body, '$.trace.error') AS error,
        json_extract(ended.body, '$.trace.attempts') AS attempts,
        json_extract(ended.body, '$.trace.duration_ms') AS duration_ms,
        json_extract(ended.body, '$.trace.cost_picousd') AS cost_picousd,
        json_extract(ended.body, '$.trace.cost_usd') AS cost_usd,
        json_extract(ended.body, '$.trace.estimated') AS estimated,
        json_extract(ended.body, '$.trace.cache_hit') AS cache_hit,
        strftime('%Y-%m-%dT%H:%M:%fZ', begun.at / 1000.0, 'unixepoch') AS started_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', ended.at / 1000.0, 'unixepoch') AS ended_at
    FROM begun LEFT JOIN ended ON ended.run = begun.run AND ended.call = begun.call;
CREATE VIEW attempts AS 
    SELECT run AS run_id, call AS step_id,
        json_extract(body, '$.attempt.number') AS attempt,
        strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS ended_at,
        json_extract(body, '$.attempt.duration_ms') AS duration_ms,
        json_extract(body, '$.attempt.usage.input_tokens') AS input_tokens,
        coalesce(json_extract(body, '$.attempt.usage.cached_tokens'), 0) AS cached_tokens,
        json_extract(body, '$.attempt.usage.output_tokens') AS output_tokens,
        coalesce(json_extract(body, '$.attempt.usage.reasoning_tokens'), 0) AS reasoning_tokens,
        coalesce(json_extract(body, '$.attempt.picousd'), 0) AS cost_picousd,
        coalesce(json_extract(body, '$.attempt.picousd'), 0) / 1e12 AS cost_usd,
        coalesce(json_extract(body, '$.attempt.estimated'), 0) AS estimated,
        coalesce(json_extract(body, '$.attempt.new_input_bytes'), 0) AS new_input_bytes,
        coalesce(json_extract(body, '$.attempt.new_input_tokens'), 0) AS new_input_tokens,
        coalesce(json_array_length(body, '$.attempt.violations'), 0) AS violations,
        coalesce(json_extract(body, '$.attempt.transport_retries'), 0) AS transport_retries,
        coalesce(json_extract(body, '$.attempt.response_id'), '') AS response_id,
        coalesce(json_extract(body, '$.attempt.error'), '') AS error
    FROM _records WHERE kind = 'attempt_finished';
CREATE VIEW reservations AS 
    WITH closed AS (
        SELECT run, json_extract(body, '$.reservation') AS reservation, max(n), kind, at, body FROM _records
        WHERE kind IN ('settled', 'released', 'left_in_doubt', 'reconciled') GROUP BY 1, 2
    )
    SELECT held.run AS run_id,
        json_extract(held.body, '$.reservation') AS reservation_id,
        json_extract(held.body, '$.scope') AS scope,
        held.call AS step_id,
        json_extract(held.body, '$.attempt') AS attempt,
        json_extract(held.body, '$.model') AS model,
        CASE closed.kind WHEN 'left_in_doubt' THEN 'in_doubt' ELSE coalesce(closed.kind, 'open') END AS state,
        json_extract(held.body, '$.picousd') AS reserved_picousd,
        json_extract(held.body, '$.tokens') AS reserved_tokens,
        CASE WHEN closed.kind IN ('settled', 'reconciled') THEN json_extract(closed.body, '$.picousd')
            WHEN closed.kind = 'released' THEN 0 ELSE json_extract(held.body, '$.picousd') END AS counted_picousd,
        CASE WHEN closed.kind IN ('settled', 'reconciled') THEN json_extract(closed.body, '$.tokens')
            WHEN closed.kind = 'released' THEN 0 ELSE json_extract(held.body, '$.tokens') END AS counted_tokens,
        coalesce(json_extract(closed.body, '$.estimated'), 0) AS estimated,
        coalesce(json_extract(closed.body, '$.reason'), '') AS reason,
        strftime('%Y-%m-%dT%H:%M:%fZ', held.at / 1000.0, 'unixepoch') AS reserved_at,
        strftime('%Y-%m-%dT%H:%M:%fZ', closed.at / 1000.0, 'unixepoch') AS closed_at
    FROM _records AS held LEFT JOIN closed
        ON closed.run = held.run AND closed.reservation = json_extract(held.body, '$.reservation')
    WHERE held.kind = 'reserved';
CREATE VIEW traces AS 
    SELECT run AS run_id, call AS step_id,
        json_extract(body, '$.trace.function') AS function, json_extract(body, '$.trace.model') AS model, json_extract(body, '$.trace.inputs') AS inputs, json_extract(body, '$.trace.compiled_prompt_hash') AS compiled_prompt_hash, json_extract(body, '$.trace.contract_hash') AS contract_hash, json_extract(body, '$.trace.attempts') AS attempts, json_extract(body, '$.trace.output') AS output, json_extract(body, '$.trace.duration_ms') AS duration_ms, json_extract(body, '$.trace.cost_usd') AS cost_usd, json_extract(body, '$.trace.retry_reasons') AS retry_reasons, json_extract(body, '$.trace.parent_id') AS parent_id, json_extract(body, '$.trace.flow_id') AS flow_id, json_extract(body, '$.trace.kind') AS kind, json_extract(body, '$.trace.outcome') AS outcome, json_extract(body, '$.trace.error') AS error, json_extract(body, '$.trace.input_tokens') AS input_tokens, json_extract(body, '$.trace.cached_tokens') AS cached_tokens, json_extract(body, '$.trace.output_tokens') AS output_tokens, json_extract(body, '$.trace.reasoning_tokens') AS reasoning_tokens, json_extract(body, '$.trace.cost_picousd') AS cost_picousd, json_extract(body, '$.trace.estimated') AS estimated, json_extract(body, '$.trace.cache_hit') AS cache_hit, json_extract(body, '$.trace.transport_retries') AS transport_retries, json_extract(body, '$.trace.started_at') AS started_at,
        json_extract(body, '$.trace') AS trace
    FROM _records WHERE kind = 'call_finished';
CREATE VIEW violations AS 
    SELECT run AS run_id, call AS step_id,
        json_extract(body, '$.attempt.number') AS attempt,
        json_extract(violation.value, '$.kind') AS kind,
        json_extract(violation.value, '$.condition') AS condition,
        coalesce(json_extract(violation.value, '$.detail'), '') AS detail
    FROM _records, json_each(body, '$.attempt.violations') AS violation
    WHERE _records.kind = 'attempt_finished';
CREATE VIEW records AS 
    SELECT seq, run AS run_id, n, kind, call AS step_id, strftime('%Y-%m-%dT%H:%M:%fZ', at / 1000.0, 'unixepoch') AS at, body FROM _records;
COMMIT;
