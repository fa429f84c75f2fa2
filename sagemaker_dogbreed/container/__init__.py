"""The code that runs inside training jobs and endpoints.

It imports only itself, the standard library, torch, torchvision, numpy and Pillow, and requests
where it fetches a URL (safetensors where a weights file is of that kind), because it is shipped as
it stands into containers that hold nothing else.
"""
